// A process that writes, for tests of others that read: commits what it is sent, [stream, events], and answers.
import EventStore from 'varve';

const store = new EventStore('store', { storageDirectory: process.argv[2], ...JSON.parse(process.argv[3] ?? '{}') });
process.on('message', message => {
    if (message === 'close') {
        store.close();
        process.disconnect();
        return;
    }
    const [method, ...values] = message;
    store[method](...values);
    process.send(store.length);
});
process.send('open');
