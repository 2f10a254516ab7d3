// The original's side of the round trips: node store.js write|dump|hold|try DIR [COUNT]
'use strict';
const EventStore = require('event-storage');

const [what, directory, count] = process.argv.slice(2);
const store = new EventStore('store', {storageDirectory: directory, streamsDirectory: directory + '/streams'});

function write() {
    for (let n = 0; n < Number(count); ++n)
        store.commit('foo-' + n % 3, [{type: 'A', n, text: 'é"\n'}, {type: 'B', n, text: 'x'.repeat(n * 37 % 5000)}]);
    if (!store.streams.odd) store.createEventStream('odd', {payload: {type: 'A'}});
    store.close();
}

function dump() {
    const streams = Object.keys(store.streams).filter((name) => name !== '_all').sort();
    for (let number = 1; number <= store.length; ++number)
        process.stdout.write(JSON.stringify(store.storage.read(number)) + '\n');
    for (const name of streams) process.stdout.write(`stream-${name} ${store.getStreamVersion(name)}\n`);
    store.close();
}

function hold() {
    process.stdout.write('held\n');
    process.stdin.resume();
    process.stdin.on('end', () => store.close());
}

store.once('ready', () => ({write, dump, hold, try: () => store.close()})[what]());
