// Goal: consumers get every document once, know where they are, and keep a state with it. Method: each behaviour of
// node-event-storage, one test; other processes and ends of processes where they matter.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import EventStore, { Consumer } from 'varve';
import { directoryFor, numbers, openStore, turn, until } from './support.js';

function collect(consumer) {
    const got = [];
    consumer.on('data', document => got.push(document.payload.n));
    return got;
}

const upTo = count => Array.from({ length: count }, (_, n) => n + 1);

test('gets documents that are there, then those that come', async t => {
    const store = numbers(t, 40);
    store.commit('bar', { n: -1 });
    const consumer = store.getConsumer('foo', 'one');
    const got = collect(consumer);
    await once(consumer, 'caught-up');
    assert.deepEqual(got, upTo(40));
    assert.equal(consumer.position, 40);
    store.commit('foo', [{ n: 41 }, { n: 42 }]);
    store.commit('bar', { n: -2 });
    await until(() => got.length === 42);
    assert.deepEqual(got, upTo(42));
    assert.equal(consumer.position, 42);
});

test('documents are whole', async t => {
    const store = numbers(t, 1);
    const [document] = await once(store.getConsumer('foo', 'one'), 'data');
    assert.deepEqual(Object.keys(document), ['stream', 'payload', 'metadata']);
    assert.equal(document.stream, 'foo');
    assert.equal(document.metadata.streamVersion, 0);
});

test('all events, live too', async t => {
    const store = numbers(t, 3);
    const consumer = store.getConsumer('_all', 'one');
    const got = collect(consumer);
    await once(consumer, 'caught-up');
    store.commit('bar', { n: 4 });
    await until(() => got.length === 4);
    assert.equal(consumer.position, 4);
    assert.equal(consumer.name, '_all.one');
});

test('goes on where it was, with its state', async t => {
    const storageDirectory = directoryFor(t);
    const first = new EventStore('store', { storageDirectory });
    first.commit('foo', upTo(5).map(n => ({ n })));
    const consumer = first.getConsumer('foo', 'sum', { sum: 0, name: 'é😀' });
    consumer.on('data', ({ payload }) => consumer.setState(state => ({ ...state, sum: state.sum + payload.n })));
    const [persisted] = await once(consumer, 'persisted');
    assert.equal(persisted, JSON.stringify({ sum: 15, name: 'é😀' }));
    first.commit('foo', { n: 6 });
    await until(() => consumer.position === 6);
    first.close();

    const again = openStore(t, { storageDirectory });
    const restored = again.getConsumer('foo', 'sum', { sum: 100 });
    assert.equal(restored.position, 6);
    assert.deepEqual(restored.state, { sum: 21, name: 'é😀' });
    const got = collect(restored);
    again.commit('foo', { n: 7 });
    await until(() => got.length === 1);
    assert.deepEqual(got, [7]);
});

test('begins behind a number of documents', async t => {
    const store = numbers(t, 9);
    store.commit('bar', { n: 0 });
    store.commit('foo', { n: 10 });
    for (const [identifier, ...rest] of [['one', {}, 8], ['two', 8]]) {
        const consumer = store.getConsumer('foo', identifier, ...rest);
        const got = collect(consumer);
        await once(consumer, 'caught-up');
        assert.deepEqual(got, [9, 10]);
        assert.equal(consumer.position, 10);
        assert.deepEqual(consumer.state, {});
    }
});

test('progress and persisted', async t => {
    const store = numbers(t, 3);
    const consumer = store.getConsumer('foo', 'one');
    const seen = [];
    consumer.on('progress', (position, state) => seen.push(position, state));
    consumer.on('data', () => consumer.setState({ a: 1 }));
    await once(consumer, 'persisted');
    assert.deepEqual(seen, [3, { a: 1 }]);
    store.commit('foo', { n: 4 });
    await once(consumer, 'persisted');
    assert.deepEqual(seen.slice(2), [4, { a: 1 }]);
});

test('the state is set while a document is handled, and frozen', async t => {
    const store = numbers(t, 1);
    const consumer = store.getConsumer('foo', 'one');
    assert.throws(() => consumer.setState({}), /Called setState outside of document handler!/);
    consumer.on('data', () => consumer.setState({ a: 1 }));
    await once(consumer, 'caught-up');
    assert.throws(() => consumer.setState({}), /outside of document handler/);
    assert.throws(() => { consumer.state.a = 2; }, TypeError);
});

test('what a listener throws is the process’s; the document comes again', async t => {
    const storageDirectory = directoryFor(t);
    const program = fail => `import EventStore from 'varve';
        const store = new EventStore('store', { storageDirectory: ${JSON.stringify(storageDirectory)} });
        if (store.length === 0) store.commit('foo', [{ n: 1 }, { n: 2 }, { n: 3 }]);
        const consumer = store.getConsumer('foo', 'one', { sum: 0 });
        process.on('uncaughtException', error => { console.log(error.message); store.close(); });
        consumer.on('data', ({ payload: { n } }) => {
            consumer.setState(state => ({ sum: state.sum + n }));
            if (${fail} && n === 2) throw new Error('no');
        });
        consumer.on('persisted', text => { console.log(text); store.close(); });`;
    const run = fail => execFileSync(process.execPath, ['--input-type=module', '-e', program(fail)], { encoding: 'utf8' }).trim();
    assert.equal(run(true), 'no');
    assert.equal(run(false), '{"sum":6}');
});

test('stop, start and reset', async t => {
    const store = numbers(t, 3);
    const consumer = store.getConsumer('foo', 'one');
    const got = collect(consumer);
    await once(consumer, 'caught-up');
    consumer.stop();
    store.commit('foo', { n: 4 });
    await turn();
    await turn();
    assert.deepEqual(got, [1, 2, 3]);
    consumer.start();
    await until(() => got.length === 4);
    consumer.reset({ a: 1 }, 2);
    assert.equal(consumer.position, 2);
    assert.deepEqual(consumer.state, { a: 1 });
    await until(() => got.length === 6);
    assert.deepEqual(got, [1, 2, 3, 4, 3, 4]);
});

test('without reading on it waits, and loses nothing', async t => {
    const store = numbers(t, 100);
    const consumer = store.getConsumer('foo', 'one');
    const got = [];
    for await (const document of consumer) {
        got.push(document.payload.n);
        if (got.length % 10 === 0) await turn();
        if (got.length === 60) break;
    }
    assert.deepEqual(got, upTo(60));
    const again = store.getConsumer('foo', 'one');
    assert.ok(again.position >= 59 && again.position <= 60, `${again.position}`);
});

test('the registry, and who is there', async t => {
    const store = numbers(t, 1);
    store.commit('a.b/c_d', { n: 1 });
    assert.equal(store.getConsumer('one'), null);
    const one = store.getConsumer('foo', 'one');
    assert.equal(store.getConsumer('one'), one);
    assert.equal(store.getConsumer('foo', 'one'), one);
    const other = store.getConsumer('_all', 'one');
    assert.notEqual(other, one);
    assert.equal(store.getConsumer('one'), other);
    store.getConsumer('a.b/c_d', 'zwei.drei é');
    let found = null;
    store.scanConsumers((error, list) => { found = error ?? list; });
    assert.deepEqual(found.sort((a, b) => a.name < b.name ? -1 : 1), [
        { name: '_all.one', stream: '_all', identifier: 'one' },
        { name: 'stream-a.b/c_d.zwei.drei é', stream: 'a.b/c_d', identifier: 'zwei.drei é' },
        { name: 'stream-foo.one', stream: 'foo', identifier: 'one' },
    ]);
});

test('one named like the beginning of another leaves it alone', async t => {
    const store = numbers(t, 3);
    const long = store.getConsumer('foo', 'foo.bar');
    long.on('data', () => {});
    await once(long, 'caught-up');
    long.stop();
    store.getConsumer('foo', 'foo');
    assert.equal(store.getConsumer('foo', 'foo.bar').position, 3);
});

test('refuses what can not be', t => {
    const store = numbers(t, 1);
    assert.throws(() => new Consumer(), /Must provide a storage for the consumer\./);
    assert.throws(() => new Consumer(store.storage), /Must specify an index name for the consumer\./);
    assert.throws(() => new Consumer(store.storage, 'stream-foo'), /Must specify an identifier name for the consumer\./);
    assert.throws(() => store.getConsumer('nope', 'one'), /Index "stream-nope" does not exist\./);
    assert.throws(() => store.getConsumer('foo', 'x'.repeat(100)), /at most 100 are possible/);
});

test('streams of accessors and their consumers', async t => {
    const store = openStore(t, { typeAccessor: 'type', tagsAccessor: 'tags' });
    store.commit('foo', [{ type: 'A', tags: ['x'], n: 1 }, { type: 'B', n: 2 }, { type: 'A', n: 3 }]);
    const types = collect(store.getConsumer('A', 'types'));
    const tags = collect(store.getConsumer('tags/x', 'tags'));
    await until(() => types.length === 2);
    store.commit('bar', [{ type: 'A', tags: ['x'], n: 4 }]);
    await until(() => types.length === 3 && tags.length === 2);
    assert.deepEqual([types, tags], [[1, 3, 4], [1, 4]]);
});

test('large states are stored too, and one that is too large is an error', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 300, { storageDirectory });
    const consumer = store.getConsumer('foo', 'one', { text: '' });
    consumer.on('data', ({ payload: { n } }) => consumer.setState({ n, text: 'é'.repeat(100 * n) }));
    let persisted = '';
    consumer.on('persisted', text => { persisted = text; });
    await until(() => persisted.startsWith('{"n":300,'));
    store.close();
    const again = openStore(t, { storageDirectory });
    const restored = again.getConsumer('foo', 'one');
    assert.deepEqual([restored.position, restored.state], [300, { n: 300, text: 'é'.repeat(30000) }]);
    again.commit('foo', { n: 301 });
    restored.on('data', () => restored.setState('x'.repeat(1 << 20)));
    const [error] = await once(restored, 'error');
    assert.match(error.message, /larger than the limit of 1 MiB/);
});
