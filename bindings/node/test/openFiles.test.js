// Goal: an EventStore over a directory of event-storage reads it as it is, follows its writer, and changes nothing. Method: directories
// that event-storage itself has written, from npm, and another process in which it goes on writing; what it reads there is compared.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import EventStore, { CommitCondition, Consumer, Storage } from 'varve';
import { directoryFor, openStore, until } from './support.js';

const Original = createRequire(import.meta.url)('event-storage');
const NAMES = ['foo', 'bar-1', 'bar-2'];

/** Every file below a directory with its bytes. */
function contents(directory) {
    return fs.readdirSync(directory, { recursive: true }).sort()
        .map(name => [name, fs.statSync(path.join(directory, name)).isFile() ? fs.readFileSync(path.join(directory, name), 'latin1') : null]);
}

function documentsOf(stream) {
    const documents = [];
    for (let document; (document = stream.next()) !== false;) documents.push(document);
    return documents;
}

/** A directory of 60 commits as event-storage leaves it, and what it reads there of each stream. */
async function original(t, count = 60) {
    const storageDirectory = directoryFor(t);
    const store = new Original('store', { storageDirectory });
    await once(store, 'ready');
    for (let n = 1; n <= count; ++n) {
        const events = Array.from({ length: n % 3 + 1 }, (_, k) => ({ type: n % 2 === 0 ? 'A' : 'B', n, k, text: 'é😀'.repeat(n % 5) }));
        await new Promise(resolve => store.commit(NAMES[n % 3], events, { user: 'ann' }, resolve));
    }
    store.createEventStream('A', { payload: { type: 'A' } });
    store.createEventStream('late', document => document.payload.n > 50);
    const streams = {};
    for (const name of [...NAMES, 'A', 'late', '_all']) streams[name] = documentsOf(store.getEventStream(name));
    store.close();
    return { storageDirectory, streams };
}

function payloads(documents) {
    return documents.map(({ payload }) => payload);
}

test('streams, ranges, predicates and raw documents are those of event-storage; nothing is changed', async t => {
    const { storageDirectory, streams } = await original(t);
    const before = contents(storageDirectory);
    const store = openStore(t, { storageDirectory });
    assert.equal(store.readOnly, true);
    assert.equal(store.format, 'event-storage');
    assert.equal(store.length, streams._all.length);
    assert.deepEqual(Object.keys(store.streams).sort(), ['A', '_all', 'bar-1', 'bar-2', 'foo', 'late']);
    for (const [name, documents] of Object.entries(streams)) {
        assert.equal(store.getStreamVersion(name), documents.length, name);
        assert.deepEqual(documentsOf(store.getEventStream(name)), documents, name);
        assert.deepEqual(store.getEventStream(name).events, payloads(documents), name);
        assert.deepEqual(store.getEventStream(name).backwards().events, payloads(documents).reverse(), name);
        assert.deepEqual(store.getEventStream(name, 3, -2).events, payloads(documents).slice(2, -1), name);
        assert.deepEqual(store.getEventStream(name).last(4).events, payloads(documents).slice(-4), name);
        const user = { payload: { type: 'B' }, metadata: { user: 'ann' } };
        assert.deepEqual(store.getEventStream(name).where(user).events, payloads(documents).filter(({ type }) => type === 'B'), name);
        assert.deepEqual(store.getEventStream(name).where(({ k }) => k > 0).events, payloads(documents).filter(({ k }) => k > 0), name);
        const lines = [...store.getEventStream(name, 1, -1, null, true)].map(line => line.toString());
        assert.deepEqual(lines, documents.map(document => `${JSON.stringify(document)}\n`), name);
    }
    assert.equal(store.getEventStream('none'), false);
    assert.equal(store.getEventStream('../store'), false);
    assert.equal(store.getStreamVersion('none'), -1);
    assert.deepEqual(store.storage.read(3), streams._all[2]);
    assert.deepEqual([...store.storage.readRange(5, 2)], streams._all.slice(1, 5).reverse());
    const raw = store.getAllEvents(1, -1, null, true);
    const first = raw.next();
    assert.deepEqual([JSON.parse(first.buffer), first.sequenceNumber], [streams._all[0], 0]);
    assert.ok(Math.abs(first.time64 / 1000 - Date.now()) < 3_600_000);
    assert.deepEqual(store.streams.A.matcher, { payload: { type: 'A' } });
    const piped = [];
    for await (const payload of store.getEventStream('foo')) piped.push(payload);
    assert.deepEqual(piped, payloads(streams.foo));
    store.close();
    assert.throws(() => store.length, { code: 'closed' });
    assert.deepEqual(contents(storageDirectory), before);
});

test('categories, joins and queries', async t => {
    const { storageDirectory, streams } = await original(t);
    const store = openStore(t, { storageDirectory, readOnly: true, typeAccessor: 'type' });
    const inOrder = test => payloads(streams._all.filter(test));
    const bars = inOrder(({ stream }) => stream !== 'foo');
    assert.deepEqual(store.getEventStreamForCategory('bar').events, bars);
    assert.throws(() => store.getEventStreamForCategory('none'), /No streams for category 'none' exist\./);
    assert.deepEqual(store.fromStreams('join', ['bar-1', 'none', 'bar-2']).events, bars);
    assert.deepEqual(store.fromStreams('join', ['bar-1', 'bar-2']).backwards().events, bars.toReversed());
    assert.deepEqual(store.fromStreams('join', [['A', ['bar-1', 'bar-2']]], 10, 70).events,
        payloads(streams._all.slice(9, 70).filter(({ stream, payload }) => stream !== 'foo' && payload.type === 'A')));
    assert.deepEqual(store.fromStreams('join', ['foo'], 7, 40).events, payloads(streams._all.slice(6, 40).filter(({ stream }) => stream === 'foo')));
    const { stream, condition } = store.query({ items: [{ types: ['A'] }] }, ({ n }) => n > 30);
    assert.deepEqual(stream.events, payloads(streams.A).filter(({ n }) => n > 30));
    assert.ok(condition instanceof CommitCondition);
    assert.equal(condition.noneMatchAfter, streams._all.length);
});

test('what would change it is refused, and says how a store is made of it', async t => {
    const { storageDirectory } = await original(t, 3);
    const before = contents(storageDirectory);
    for (const config of [{}, { readOnly: true }, { readOnly: true, convert: true }]) {
        const store = openStore(t, { storageDirectory, ...config });
        const hint = /opened in read-only mode\..*store\.index belongs to a store that event-storage has written.*convert: true.*npx varve import .*store\.varve --from node-event-storage .* --name store/;
        assert.throws(() => store.commit('foo', { n: 1 }), hint);
        assert.throws(() => store.createEventStream('new', { payload: { n: 1 } }), hint);
        assert.throws(() => store.deleteEventStream('foo'), hint);
        assert.throws(() => store.closeEventStream('foo'), hint);
        assert.throws(() => store.preCommit(() => {}), hint);
        let called = false;
        store.makeReadOnly(() => called = true);
        assert.ok(called);
        store.close();
    }
    assert.deepEqual(contents(storageDirectory), before);
    const converted = openStore(t, { storageDirectory, convert: true });
    assert.deepEqual([converted.readOnly, converted.format], [false, 'varve']);
});

test('hooks of reading', async t => {
    const storageDirectory = directoryFor(t);
    const storage = new Storage('store', { dataDirectory: storageDirectory, indexDirectory: path.join(storageDirectory, 'streams'),
        partitioner: ({ stream }) => stream, metadata: name => ({ name }) });
    for (const name of ['foo', 'bar', 'foo']) {
        storage.ensureIndex(`stream-${name}`, { stream: name });
        storage.write({ stream: name, payload: { name }, metadata: {} });
    }
    storage.close();
    const store = openStore(t, { storageDirectory });
    const seen = [];
    store.preRead((position, metadata) => {
        seen.push([position, metadata.name]);
        if (metadata.name === 'bar') throw new Error('not yours');
    });
    assert.deepEqual(store.getEventStream('foo').events, [{ name: 'foo' }, { name: 'foo' }]);
    assert.throws(() => store.getAllEvents().events, /not yours/);
    assert.deepEqual(seen, [[1, 'foo'], [3, 'foo'], [1, 'foo'], [2, 'bar']]);
});

test('the process that writes is followed: events, streams that come, consumers, iteration', async t => {
    const storageDirectory = directoryFor(t);
    const child = fork(path.join(import.meta.dirname, 'writerOriginal.cjs'), [storageDirectory]);
    t.after(() => child.kill());
    const call = async (...message) => {
        child.send(message);
        await once(child, 'message');
    };
    await once(child, 'message');
    await call('commit', 'foo', [{ n: 1 }, { n: 2 }]);
    const index = path.join(storageDirectory, 'streams', 'store.index');
    await until(() => fs.existsSync(index));
    const first = openStore(t, { storageDirectory });
    await until(() => first.length === 2);
    const store = openStore(t, { storageDirectory });
    const available = [];
    store.on('stream-available', name => available.push(name));
    await once(store, 'ready');
    assert.deepEqual(available, ['foo']);
    const consumer = store.getConsumer('foo', 'sum', { sum: 0 });
    consumer.on('data', ({ payload }) => consumer.setState(({ sum }) => ({ sum: sum + payload.n })));
    const everything = store.getConsumer('_all', 'all');
    const all = [];
    everything.on('data', ({ stream, payload }) => all.push([stream, payload.n]));
    const ending = new AbortController();
    const followed = [];
    const reading = (async () => {
        for await (const { payload } of store.follow(['foo', 'bar'], { since: 1, signal: ending.signal })) followed.push(payload.n);
    })();
    await until(() => all.length === 2 && followed.length === 1);
    for (let n = 3; n <= 40; ++n) await call('commit', n % 2 === 0 ? 'foo' : 'bar', [{ n }]);
    await until(() => all.length === 40 && followed.length === 39 && consumer.state.sum === 20 * 21 + 1);
    assert.deepEqual(all.map(([, n]) => n), Array.from({ length: 40 }, (_, n) => n + 1));
    assert.deepEqual(followed, Array.from({ length: 39 }, (_, n) => n + 2));
    assert.deepEqual(available, ['foo', 'bar']);
    assert.equal(consumer.position, 21);
    assert.equal(store.length, 40);
    assert.deepEqual(store.getEventStream('bar').last(1).events, [{ n: 39 }]);
    ending.abort();
    await assert.rejects(reading, { name: 'AbortError' });
    await call('createEventStream', 'even', { payload: { n: 2 } });
    await until(() => available.includes('even'));
    await until(() => store.getStreamVersion('even') === 1);
    assert.deepEqual(store.getEventStream('even').events, [{ n: 2 }]);
    await call('deleteEventStream', 'even');
    await until(() => store.getEventStream('even') === false);
    child.send('close');
    await once(child, 'exit');
});

test('consumers go on where event-storage has left them, and it where they have', async t => {
    const { storageDirectory, streams } = await original(t);
    const directory = path.join(storageDirectory, 'streams', 'consumers');
    const write = (name, position, text) => {
        const begin = Buffer.alloc(4);
        begin.writeInt32LE(position);
        fs.mkdirSync(directory, { recursive: true });
        fs.writeFileSync(path.join(directory, name), Buffer.concat([begin, Buffer.from(text)]));
    };
    write('store.stream-foo.sum', 11, '{"sum":7,"name":"é"}');
    write('store._all.everything', 5, '{}');
    write('store.stream-foo.cut', 9, '{"name":"');
    write('store.stream-foo.sum.12', 12, '{}');
    const store = openStore(t, { storageDirectory });
    let found;
    store.scanConsumers((error, list) => found = list);
    assert.deepEqual(found.sort((a, b) => a.name < b.name ? -1 : 1), [
        { name: '_all.everything', stream: '_all', identifier: 'everything' },
        { name: 'stream-foo.cut', stream: 'foo', identifier: 'cut' },
        { name: 'stream-foo.sum', stream: 'foo', identifier: 'sum' },
    ]);
    const consumer = store.getConsumer('foo', 'sum');
    assert.deepEqual([consumer.position, consumer.state], [11, { sum: 7, name: 'é' }]);
    const got = [];
    consumer.on('data', document => {
        got.push(document);
        consumer.setState(({ sum, name }) => ({ sum: sum + 1, name }));
    });
    await once(consumer, 'caught-up');
    assert.deepEqual(got, streams.foo.slice(11));
    consumer.stop();
    const bytes = fs.readFileSync(path.join(directory, 'store.stream-foo.sum'));
    assert.equal(bytes.readInt32LE(0), streams.foo.length);
    assert.deepEqual(JSON.parse(bytes.toString('utf8', 4)), { sum: 7 + got.length, name: 'é' });
    assert.equal(store.getConsumer('foo', 'cut', { begun: true }).position, 0);

    // One's own, made here, and begun anew.
    const own = store.getConsumer('bar-1', 'new', { seen: 0 }, 2);
    own.on('data', () => own.setState(({ seen }) => ({ seen: seen + 1 })));
    let text;
    own.on('persisted', stored => text = stored);
    await once(own, 'caught-up');
    assert.equal(text, JSON.stringify({ seen: streams['bar-1'].length - 2 }));
    own.reset({ seen: 100 }, 5);
    await until(() => own.position === streams['bar-1'].length);
    assert.equal(own.state.seen, 100 + streams['bar-1'].length - 5);
    assert.throws(() => store.getConsumer('none', 'x'), /Index "stream-none" does not exist\./);
});

test('a consumer that another process has as well stops with an error', async t => {
    const { storageDirectory } = await original(t);
    const [one, two] = [openStore(t, { storageDirectory }), openStore(t, { storageDirectory })];
    const first = one.getConsumer('foo', 'same');
    const second = two.getConsumer('foo', 'same');
    first.on('data', () => {});
    await once(first, 'persisted');
    second.on('data', () => {});
    const [error] = await once(second, 'error');
    assert.match(error.message, /Trying to update consumer store\.stream-foo\.same concurrently\./);
});

test('closed and hierarchical streams, and one that is closed meanwhile', async t => {
    const storageDirectory = directoryFor(t);
    const storage = new Storage('store', { dataDirectory: storageDirectory, indexDirectory: path.join(storageDirectory, 'streams'),
        partitioner: ({ stream }) => stream });
    t.after(() => storage.close());
    storage.open();
    const commit = (stream, n) => {
        storage.ensureIndex(`stream-${stream}`, { stream }, false);
        storage.write({ stream, payload: { n }, metadata: {} });
        storage.flush();
    };
    for (const [n, stream] of ['a/b', 'c', 'a/b', 'd'].entries()) commit(stream, n);
    const close = stream => {
        storage.secondaryIndexes[`stream-${stream}`].index.close();
        storage.removeSecondaryIndex(`stream-${stream}`);
        const file = path.join(storageDirectory, 'streams', `store.stream-${stream}`);
        fs.renameSync(`${file}.index`, `${file}.closed.index`);
    };
    close('c');
    const store = openStore(t, { storageDirectory });
    const news = [];
    for (const event of ['stream-available', 'stream-closed']) store.on(event, name => news.push([event, name]));
    await once(store, 'ready');
    assert.deepEqual(news.splice(0).sort(), ['a/b', 'c', 'd'].map(name => ['stream-available', name]));
    assert.deepEqual(store.getEventStream('a/b').events, [{ n: 0 }, { n: 2 }]);
    assert.deepEqual(store.getEventStream('d').events, [{ n: 3 }]);
    assert.deepEqual([store.streams.c.closed, store.streams.d.closed], [true, undefined]);
    assert.deepEqual(store.getEventStreamForCategory('a').events, [{ n: 0 }, { n: 2 }]);
    close('d');
    assert.equal(store.streams.d.closed, true);
    assert.deepEqual(store.getEventStream('d').events, [{ n: 3 }]);
    commit('e', 4);
    assert.deepEqual(store.getAllEvents().events.map(({ n }) => n), [0, 1, 2, 3, 4]);
    await until(() => news.length === 2);
    assert.deepEqual(news.sort(), [['stream-available', 'e'], ['stream-closed', 'd']]);
    const consumer = store.getConsumer('a/b', 'x');
    consumer.on('data', () => {});
    await once(consumer, 'persisted');
    consumer.stop();
    assert.equal(store.getConsumer('a/b', 'x').position, 2);
});

test('documents that are not all there yet are not there; one that is damaged is an error', async t => {
    const { storageDirectory, streams } = await original(t);
    const last = streams._all.at(-1);
    const file = path.join(storageDirectory, `store.${last.stream}`);
    const bytes = fs.readFileSync(file);
    fs.truncateSync(file, bytes.length - 30);
    const store = openStore(t, { storageDirectory });
    assert.equal(store.length, streams._all.length - 1);
    assert.deepEqual(documentsOf(store.getAllEvents()), streams._all.slice(0, -1));
    assert.deepEqual(documentsOf(store.getEventStream(last.stream)), streams[last.stream].slice(0, -1));
    fs.writeFileSync(file, bytes);
    assert.deepEqual(documentsOf(store.getEventStream(last.stream)), streams[last.stream]);
    assert.equal(store.length, streams._all.length);
    store.close();

    const hit = bytes.indexOf('"n":30');
    const at = hit < 0 ? bytes.indexOf('"n":') : hit;
    bytes.fill('#', at, at + 4);
    fs.writeFileSync(file, bytes);
    const again = openStore(t, { storageDirectory });
    const stream = again.getEventStream(last.stream);
    assert.throws(() => documentsOf(stream), { code: 'corrupt' });
    fs.rmSync(file);
    const gone = openStore(t, { storageDirectory });
    assert.throws(() => documentsOf(gone.getAllEvents()), /Partition #\d+ does not exist\./);
});

test('Consumer on a Storage: its own indexes, all documents, those that come', async t => {
    const dataDirectory = directoryFor(t);
    const storage = new Storage('st', { dataDirectory });
    t.after(() => storage.close());
    const even = storage.ensureIndex('even', { even: true });
    for (let n = 1; n <= 40; ++n) storage.write({ n, even: n % 2 === 0 });
    const consumer = new Consumer(storage, 'even', 'sum', { sum: 0 });
    consumer.on('data', ({ n }) => consumer.setState(({ sum }) => ({ sum: sum + n })));
    const all = new Consumer(storage, '_all', 'all', 30);
    const seen = [];
    all.on('data', ({ n }) => seen.push(n));
    await until(() => consumer.position === 20 && seen.length === 10);
    assert.equal(consumer.state.sum, 420);
    storage.write({ n: 41, even: false });
    storage.write({ n: 42, even: true });
    await until(() => consumer.position === 21 && seen.length === 12);
    assert.deepEqual(seen, Array.from({ length: 12 }, (_, n) => n + 31));
    assert.equal(even.length, 21);
    assert.throws(() => new Consumer(storage, 'none', 'x'), /Index "none" does not exist\./);
    assert.throws(() => consumer.setState({}), /Called setState outside of document handler!/);
    storage.close();

    const reader = new Storage.ReadOnly('st', { dataDirectory });
    t.after(() => reader.close());
    const again = new Consumer(reader, 'even', 'sum');
    assert.deepEqual([again.position, again.state], [21, { sum: 462 }]);
    const got = [];
    again.on('data', ({ n }) => got.push(n));
    await once(again, 'caught-up');
    const writer = new Storage('st', { dataDirectory });
    t.after(() => writer.close());
    writer.open();
    writer.openIndex('even');
    writer.write({ n: 44, even: true });
    writer.flush();
    await until(() => got.length === 1);
    assert.deepEqual(got, [44]);
});

test('what a consumer has stored is never ahead of the files', async t => {
    const dataDirectory = directoryFor(t);
    const storage = new Storage('st', { dataDirectory, writeBufferSize: 1 << 20, indexOptions: { flushDelay: 60_000 } });
    t.after(() => storage.close());
    storage.ensureIndex('all', { n: { $gt: 0 } });
    const consumer = new Consumer(storage, 'all', 'x');
    consumer.on('data', () => {});
    await once(consumer, 'caught-up');
    storage.write({ n: 1 });
    await until(() => consumer.position === 1 && fs.existsSync(path.join(dataDirectory, 'consumers', 'st.all.x')));
    const reader = new Storage.ReadOnly('st', { dataDirectory });
    t.after(() => reader.close());
    assert.deepEqual(reader.read(1), { n: 1 });
    assert.equal(reader.openIndex('all').length, 1);
});

test('a store of many streams is opened without opening them', async t => {
    const storageDirectory = directoryFor(t);
    const storage = new Storage('store', { dataDirectory: storageDirectory, indexDirectory: path.join(storageDirectory, 'streams'),
        partitioner: ({ stream }) => stream.slice(0, 3) });
    for (let n = 0; n < 1500; ++n) {
        storage.ensureIndex(`stream-foo-${n}`, { stream: `foo-${n}` }, false);
        storage.write({ stream: `foo-${n}`, payload: { n }, metadata: {} });
    }
    storage.close();
    const store = openStore(t, { storageDirectory });
    assert.equal(store.length, 1500);
    assert.equal(fs.readdirSync('/proc/self/fd').map(fd => {
        try {
            return fs.readlinkSync(`/proc/self/fd/${fd}`);
        } catch {
            return '';
        }
    }).filter(name => name.includes(`${storageDirectory}/streams/store.stream-`)).length, 0);
    assert.deepEqual(store.getEventStream('foo-1234').events, [{ n: 1234 }]);
    assert.equal(store.getEventStreamForCategory('foo').events.length, 1500);
});
