// Goal: what event-storage has written becomes a varve store when that is asked for, whole and in one step. Method: directories that
// event-storage itself has written, from npm; every document compared.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { once } from 'node:events';
import { test } from 'node:test';
import EventStore, { LOCK_RECLAIM, StorageLockedError } from 'varve';
import { directoryFor, openStore } from './support.js';

const Original = createRequire(import.meta.url)('event-storage');

/** Every file below a directory with its bytes, but for those of varve stores. */
function contents(directory) {
    const files = fs.readdirSync(directory, { recursive: true }).filter(name => !/^\.?store\.varve/.test(name)).sort();
    return files.map(name => [name, fs.statSync(path.join(directory, name)).isFile() ? fs.readFileSync(path.join(directory, name), 'latin1') : null]);
}

/** A directory as event-storage leaves it; what was in each of its streams. */
async function original(t, storageConfig = {}, third = 'bar-2') {
    const storageDirectory = directoryFor(t);
    const store = new Original('store', { storageDirectory, storageConfig });
    await once(store, 'ready');
    for (let n = 1; n <= 60; ++n) {
        const events = Array.from({ length: n % 3 + 1 }, (_, k) => ({ type: n % 2 === 0 ? 'A' : 'B', n, k, text: 'é😀'.repeat(n % 5) }));
        await new Promise(resolve => store.commit(['foo', 'bar-1', third][n % 3], events, { user: 'ann' }, resolve));
    }
    store.createEventStream('object', { payload: { type: 'A' } });
    store.createEventStream('function', document => document.payload.n > 50);
    const streams = {};
    for (const name of ['foo', 'bar-1', third, 'object', 'function']) {
        const stream = store.getEventStream(name);
        streams[name] = [];
        for (let document; (document = stream.next()) !== false;) streams[name].push(document);
    }
    const all = [...store.getAllEvents()];
    store.close();
    // As event-storage 1.4 writes it: the position, then the JSON of the state.
    const state = { sum: 7, name: 'é' };
    const position = Buffer.alloc(4);
    position.writeInt32LE(11);
    fs.mkdirSync(path.join(storageDirectory, 'streams', 'consumers'));
    fs.writeFileSync(path.join(storageDirectory, 'streams', 'consumers', 'store.stream-foo.sum'), Buffer.concat([position, Buffer.from(JSON.stringify(state))]));
    return { storageDirectory, streams, all, state };
}

function documentsOf(store, name) {
    const documents = [];
    const stream = store.getEventStream(name);
    for (let document; (document = stream.next()) !== false;) documents.push(document);
    return documents;
}

test('a directory of event-storage is converted when asked for, and is left as it was', async t => {
    const { storageDirectory, streams, all, state } = await original(t);
    const before = contents(storageDirectory);
    for (const config of [{}, { readOnly: true, convert: true }]) {
        const asItIs = new EventStore('store', { storageDirectory, ...config });
        assert.equal(asItIs.format, 'event-storage');
        asItIs.close();
    }
    assert.deepEqual(contents(storageDirectory), before);
    const first = new EventStore('store', { storageDirectory, convert: true });
    const check = store => {
        assert.equal(store.length, all.length);
        assert.deepEqual(store.getAllEvents().events, all);
        for (const [name, documents] of Object.entries(streams)) {
            assert.equal(store.getStreamVersion(name), documents.length, name);
            assert.deepEqual(documentsOf(store, name), documents, name);
        }
    };
    check(first);
    const consumer = first.getConsumer('foo', 'sum');
    assert.deepEqual([consumer.position, consumer.state], [11, state]);
    const [next] = await once(consumer, 'data');
    assert.deepEqual(next, streams.foo[11]);
    first.close();
    assert.deepEqual(contents(storageDirectory), before);

    const store = openStore(t, { storageDirectory });
    check(store);
    store.commit('foo', [{ type: 'A', n: 100 }, { type: 'B', n: 3 }]);
    assert.equal(store.length, all.length + 2);
    assert.equal(store.getStreamVersion('object'), streams.object.length + 1);
    assert.equal(store.getStreamVersion('function'), streams.function.length + 1);
    assert.equal(store.getEventStream('foo').last(1).next().metadata.commitId, all.length);
});

/** Gives a file the layout whose end is told by a marker, behind zeros. */
function makeMapped(file) {
    const content = fs.readFileSync(file);
    const bytes = Buffer.alloc(Math.ceil((content.length + 4) / 4096) * 4096);
    content.copy(bytes);
    bytes.writeUInt32LE(bytes.length - content.length, bytes.length - 4);
    fs.writeFileSync(file, bytes);
}

/** Gives a partition further metadata, and leaves its documents where they are behind the header. */
function describePartition(file, metadata) {
    const bytes = fs.readFileSync(file);
    const end = 12 + bytes.readUInt32BE(8);
    const text = JSON.stringify({ ...JSON.parse(bytes.toString('utf8', 12, end)), ...metadata });
    const size = Math.ceil((12 + text.length + 1) / 16) * 16 - 12;
    const header = Buffer.alloc(12);
    bytes.copy(header, 0, 0, 8);
    header.writeUInt32BE(size, 8);
    fs.writeFileSync(file, Buffer.concat([header, Buffer.from(`${text.padEnd(size - 1)}\n`), bytes.subarray(end)]));
}

test('files of the mapped layout are converted like others, and every stream keeps its metadata', async t => {
    const { storageDirectory, streams, all } = await original(t, {}, 'varve-2');
    describePartition(path.join(storageDirectory, 'store.varve-2'), { owner: 'bob' });
    describePartition(path.join(storageDirectory, 'store.foo'), { owner: 'ann' });
    const files = fs.readdirSync(storageDirectory, { recursive: true }).map(name => path.join(storageDirectory, name));
    const mapped = files.filter(file => fs.statSync(file).isFile() && fs.readFileSync(file).toString('latin1', 0, 3) === 'nes');
    assert.ok(mapped.length >= 9, mapped);
    mapped.forEach(makeMapped);
    const store = openStore(t, { storageDirectory, convert: true });
    assert.deepEqual(store.getAllEvents().events, all);
    for (const [name, documents] of Object.entries(streams)) assert.deepEqual(documentsOf(store, name), documents, name);
    const seen = new Map();
    store.preRead((position, metadata) => seen.set(position, metadata));
    assert.ok(store.getEventStream('varve-2').events.length > 0 && store.getEventStream('foo').events.length > 0);
    assert.deepEqual(new Set([...seen.values()].map(({ owner }) => owner)), new Set(['bob', 'ann']));
});

test('streams of types are those of the accessor, if it is given', async t => {
    const { storageDirectory, streams } = await original(t);
    const store = openStore(t, { storageDirectory, convert: true, typeAccessor: 'type' });
    assert.deepEqual(documentsOf(store, 'A'), streams.object);
    assert.deepEqual(store.query({ items: [{ types: ['A'] }] }).stream.events, streams.object.map(({ payload }) => payload));
});

test('a function whose signature does not hold, or a lock that is there, and nothing is made', async t => {
    const { storageDirectory, all } = await original(t, { hmacSecret: 'secret' });
    const before = contents(storageDirectory);
    assert.throws(() => new EventStore('store', { storageDirectory, convert: true }), /Invalid HMAC for matcher\./);
    assert.equal(fs.existsSync(path.join(storageDirectory, 'store.varve')), false);
    assert.deepEqual(contents(storageDirectory), before);
    fs.mkdirSync(path.join(storageDirectory, 'store.lock'));
    const storageConfig = { hmacSecret: 'secret' };
    assert.throws(() => new EventStore('store', { storageDirectory, convert: true, storageConfig }), StorageLockedError);
    const store = openStore(t, { storageDirectory, convert: true, storageConfig: { ...storageConfig, lock: LOCK_RECLAIM } });
    assert.equal(store.length, all.length);
});

test('what is damaged is not converted', async t => {
    const { storageDirectory } = await original(t);
    const partition = path.join(storageDirectory, 'store.foo');
    const bytes = fs.readFileSync(partition);
    bytes.fill(0, bytes.length - 100, bytes.length - 60);
    fs.writeFileSync(partition, bytes);
    assert.throws(() => new EventStore('store', { storageDirectory, convert: true }), error => {
        assert.match(error.message, /can not be converted whole: \d+ of \d+ documents/);
        return error.code === 'corrupt';
    });
    assert.equal(fs.existsSync(path.join(storageDirectory, 'store.varve')), false);
});
