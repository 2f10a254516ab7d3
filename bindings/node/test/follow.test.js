// Goal: a reader sees what another process commits, as it comes. Method: a child process that writes; bounded waits.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import EventStore, { Consumer } from 'varve';
import { directoryFor, numbers, openStore, turn, until } from './support.js';

/** A store of another process: `commit(...)` and so on are done there. */
async function writerIn(t, storageDirectory, config = {}) {
    const child = fork(path.join(import.meta.dirname, 'writer.js'), [storageDirectory, JSON.stringify(config)]);
    t.after(() => child.kill());
    await once(child, 'message');
    const call = async (...message) => {
        child.send(message);
        const [length] = await once(child, 'message');
        return length;
    };
    const close = async () => {
        child.send('close');
        await once(child, 'exit');
    };
    return { call, commit: (...values) => call('commit', ...values), close };
}

test('a reader follows another process: streams, consumers, iteration', async t => {
    const storageDirectory = directoryFor(t);
    const writer = await writerIn(t, storageDirectory, { typeAccessor: 'type' });
    await writer.commit('foo', [{ n: 1, type: 'A' }]);
    const reader = openStore(t, { storageDirectory, readOnly: true, typeAccessor: 'type' });
    const available = [];
    reader.on('stream-available', name => available.push(name));
    await once(reader, 'ready');
    assert.deepEqual(available.sort(), ['A', 'foo']);

    const consumer = reader.getConsumer('foo', 'one');
    const got = [];
    consumer.on('data', ({ payload }) => got.push(payload.n));
    const everything = [];
    const ending = new AbortController();
    const reading = (async () => {
        for await (const { stream, payload } of reader.follow('_all', { signal: ending.signal })) everything.push([stream, payload.n]);
    })();
    await once(consumer, 'caught-up');
    await writer.commit('bar', [{ n: 2, type: 'B' }]);
    await writer.commit('foo', [{ n: 3 }, { n: 4, type: 'A' }]);
    await until(() => got.length === 3 && everything.length === 4 && available.length === 4);
    assert.deepEqual(got, [1, 3, 4]);
    assert.deepEqual(everything, [['foo', 1], ['bar', 2], ['foo', 3], ['foo', 4]]);
    assert.deepEqual(available.slice(2).sort(), ['B', 'bar']);
    assert.equal(reader.length, 4);
    assert.deepEqual(reader.getEventStream('A').events.map(({ n }) => n), [1, 4]);
    ending.abort();
    await assert.rejects(reading, { name: 'AbortError' });
    await writer.close();
});

test('a reader’s consumer stores where it is once the writer has made it durable', async t => {
    const storageDirectory = directoryFor(t);
    const writer = await writerIn(t, storageDirectory, { durability: 'disk' });
    await writer.commit('foo', [{ n: 1 }, { n: 2 }]);
    const reader = new EventStore('store', { storageDirectory, readOnly: true });
    const consumer = reader.getConsumer('foo', 'sum', { sum: 0 });
    consumer.on('data', ({ payload: { n } }) => consumer.setState(state => ({ sum: state.sum + n })));
    const [text] = await once(consumer, 'persisted');
    assert.equal(text, '{"sum":3}');
    reader.close();
    const again = openStore(t, { storageDirectory, readOnly: true });
    assert.deepEqual([again.getConsumer('foo', 'sum').position, again.getConsumer('foo', 'sum').state], [2, { sum: 3 }]);
});

test('a consumer belongs to one process at a time', async t => {
    const storageDirectory = directoryFor(t);
    const writer = await writerIn(t, storageDirectory);
    await writer.commit('foo', [{ n: 1 }]);
    await writer.call('getConsumer', 'foo', 'one');
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.throws(() => reader.getConsumer('foo', 'one'), { code: 'locked' });
});

test('makeReadOnly leaves the store to another writer', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 2, { storageDirectory });
    const consumer = store.getConsumer('foo', 'one');
    consumer.on('data', () => {});
    await once(consumer, 'caught-up');
    let done = 0;
    store.makeReadOnly(() => ++done);
    assert.equal(done, 1);
    assert.equal(store.readOnly, true);
    assert.equal(store.getConsumer('one'), null);
    assert.throws(() => store.commit('foo', { n: 3 }), /opened in read-only mode/);
    assert.equal(store.getEventStream('foo').events.length, 2);
    const writer = await writerIn(t, storageDirectory);
    const again = store.getConsumer('foo', 'one');
    assert.equal(again.position, 2);
    const got = [];
    again.on('data', ({ payload }) => got.push(payload.n));
    await writer.commit('foo', { n: 3 });
    await until(() => got.length === 1);
    assert.deepEqual(got, [3]);
    assert.equal(store.length, 3);
    store.makeReadOnly(() => ++done);
    assert.equal(done, 2);
});

test('following one’s own commits, a selector, from a place, until the store is closed', async t => {
    const store = numbers(t, 3);
    store.commit('bar', { n: 4 });
    const got = [];
    const reading = (async () => {
        for await (const { payload } of store.follow(['foo', 'bar'], { since: 2 })) got.push(payload.n);
    })();
    await until(() => got.length === 2);
    store.commit('baz', { n: 5 });
    store.commit('foo', [{ n: 6 }, { n: 7 }]);
    await until(() => got.length === 4);
    assert.deepEqual(got, [3, 4, 6, 7]);
    store.close();
    await reading;
});

test('one who leaves the loop is not told any more', async t => {
    const store = numbers(t, 3);
    for await (const { payload } of store.follow('foo')) if (payload.n === 2) break;
    store.commit('foo', { n: 4 });
    await turn();
    const raw = [];
    for await (const { buffer } of store.follow('foo', { since: 3, raw: true })) {
        raw.push(JSON.parse(buffer).payload.n);
        break;
    }
    assert.deepEqual(raw, [4]);
});

test('following goes on when the store is left to another writer', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 2, { storageDirectory });
    const [got, begun] = [[], []];
    const reading = (async () => {
        for await (const { payload } of store.follow('foo')) got.push(payload.n);
    })();
    // One that is in the middle of what is there.
    const beginning = store.follow('foo', { raw: true })[Symbol.asyncIterator]();
    begun.push(JSON.parse((await beginning.next()).value.buffer).payload.n);
    await until(() => got.length === 2);
    store.makeReadOnly();
    const writer = await writerIn(t, storageDirectory);
    await writer.commit('foo', { n: 3 });
    await until(() => got.length === 3);
    for (let n = 0; n < 2; ++n) begun.push(JSON.parse((await beginning.next()).value.buffer).payload.n);
    assert.deepEqual([got, begun], [[1, 2, 3], [1, 2, 3]]);
    store.close();
    await reading;
});

test('following throws what keeps it from reading, whatever compat says', async t => {
    const store = numbers(t, 3, { compat: true });
    store.preRead(position => { if (position === 2) throw new Error('not that'); });
    const got = [];
    await assert.rejects(async () => {
        for await (const { payload } of store.follow('foo')) got.push(payload.n);
    }, /not that/);
    assert.deepEqual(got, [1]);
});

test('makeReadOnly and close stop consumers that were made by hand', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 2, { storageDirectory });
    const consumer = new Consumer(store.storage, 'stream-foo', 'one');
    const got = [];
    consumer.on('data', ({ payload }) => got.push(payload.n));
    await once(consumer, 'caught-up');
    store.makeReadOnly();
    assert.equal(consumer.isPaused(), true);
    const writer = await writerIn(t, storageDirectory);
    await writer.commit('foo', { n: 3 });
    consumer.start();
    await until(() => got.length === 3);
    store.close();
    assert.equal(consumer.isPaused(), true);
    assert.deepEqual(got, [1, 2, 3]);
});

test('a store is closed whatever its consumers throw meanwhile', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 2, { storageDirectory });
    const consumer = store.getConsumer('foo', 'one');
    consumer.on('error', () => {});
    // What has no form in JSON can not be stored.
    consumer.on('data', () => { consumer.setState({ n: 1n }); });
    await new Promise(resolve => {
        consumer.on('progress', () => {
            assert.throws(() => store.close(), TypeError);
            resolve();
        });
    });
    assert.throws(() => store.length, { code: 'closed' });
    assert.equal(openStore(t, { storageDirectory }).getConsumer('foo', 'one').position, 0);
});

test('a range that is read backwards is the same whatever is committed meanwhile', async t => {
    const storageDirectory = directoryFor(t);
    const config = { storageDirectory, typeAccessor: 'type', tagsAccessor: 'tags' };
    const worker = `
        const { parentPort, workerData } = require('node:worker_threads');
        import('varve').then(({ EventStore }) => {
            const store = new EventStore('store', workerData);
            store.commit('foo', { n: 1, type: 'A', tags: ['x'] });
            store.createEventStream('derived', { payload: { type: 'A' } });
            for (let n = 2; n <= 20; ++n) store.commit('foo', { n, type: 'A', tags: ['x'] });
            parentPort.postMessage('ready');
            for (let n = 21; n < 30_000; ++n) store.commit('foo', { n, type: 'A', tags: ['x'] });
        });`;
    const one = new Worker(worker, { eval: true, workerData: config });
    one.on('error', error => assert.fail(error));
    t.after(() => one.terminate());
    await once(one, 'message');
    const reader = openStore(t, { ...config, readOnly: true });
    for (let round = 0; round < 100; ++round)
        for (const name of ['A', 'tags/x', 'derived'])
            assert.deepEqual(reader.getEventStream(name, 10, 7).events.map(({ n }) => n), [10, 9, 8, 7], `${name}, round ${round}`);
    assert.ok(reader.length > 20);
    await one.terminate();
});
