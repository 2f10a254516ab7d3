// The original's side of the round trips: node store.js write|trickle|dump|hold|consume|try|follow|watch DIR [COUNT]
//
// trickle: commits as `write` does, a few every few milliseconds. follow: opens for reading only and dumps what is there as soon as there are COUNT documents. watch: watches the directories as the
// original does, and ends when a partition and the primary index have changed.
'use strict';
const fs = require('fs');
const EventStore = require('event-storage');

const kPatienceMs = 30000;
const [what, directory, count] = process.argv.slice(2);
const options = {storageDirectory: directory, streamsDirectory: directory + '/streams', readOnly: what === 'follow'};
const store = what === 'watch' ? null : new EventStore('store', options);

function write() {
    for (let n = 0; n < Number(count); ++n)
        store.commit('foo-' + n % 3, [{type: 'A', n, text: 'é"\n'}, {type: 'B', n, text: 'x'.repeat(n * 37 % 5000)}]);
    if (!store.streams.odd) store.createEventStream('odd', {payload: {type: 'A'}});
    store.close();
}

function trickle() {
    let left = Number(count);
    const timer = setInterval(() => {
        for (let n = 0; n < 3 && left > 0; ++n, --left)
            store.commit('foo-' + left % 3, [{type: 'A', n: left}, {type: 'B', n: left, text: 'x'.repeat(left * 37 % 3000)}]);
        if (left > 0) return;
        clearInterval(timer);
        store.close();
    }, 5);
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

// The consumers of two streams: where each begins, then the numbers of what it gets.
function consume() {
    for (const index of ['stream-foo-0', 'stream-foo-1']) {
        const consumer = new EventStore.Consumer(store.storage, index, 'reader', {unknown: true});
        const told = {index, position: consumer.position, state: consumer.state, got: []};
        consumer.on('data', (event) => told.got.push(event.payload.n));
        consumer.on('caught-up', () => {
            process.stdout.write(JSON.stringify(told) + '\n');
            consumer.stop();
        });
        consumer.start();
    }
    setTimeout(() => store.close(), Number(count));
}

function follow() {
    process.stdout.write('following\n');
    const begin = Date.now();
    const timer = setInterval(() => {
        if (store.length < Number(count) && Date.now() - begin < kPatienceMs) return;
        clearInterval(timer);
        dump();
    }, 5);
}

function watch() {
    const missing = new Set(['store.index', 'store.foo-0']);
    for (const path of [directory, options.streamsDirectory])
        fs.watch(path, (event, name) => {
            if (event === 'change') missing.delete(name);
            if (missing.size === 0) process.exit(0);
        });
    setTimeout(() => process.exit(1), kPatienceMs);
    process.stdout.write('watching\n');
}

if (what === 'watch') watch();
else store.once('ready', () => ({follow, write, trickle, dump, hold, consume, try: () => store.close()})[what]());
