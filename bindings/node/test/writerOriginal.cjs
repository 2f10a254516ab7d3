// A process in which event-storage itself writes, for tests of those that follow it: does what it is sent, and answers when it is flushed.
const Original = require('event-storage');

const store = new Original('store', { storageDirectory: process.argv[2], storageConfig: { indexOptions: { flushDelay: 5 } } });
store.once('ready', () => process.send('ready'));
process.on('message', message => {
    if (message === 'close') {
        store.close();
        process.disconnect();
        return;
    }
    const [method, ...values] = message;
    if (method === 'commit') return store.commit(...values, () => process.send(store.length));
    store[method](...values);
    process.send(store.length);
});
