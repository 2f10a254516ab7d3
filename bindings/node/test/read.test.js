// Goal: streams, their ranges, and the ways to iterate. Method: tables of ranges with what node-event-storage answers, each read in
// every way there is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pipeline } from 'node:stream/promises';
import { Writable } from 'node:stream';
import { EventStream, JoinEventStream, buildRawBufferMatcher, matches } from 'varve';
import { numbers, openStore } from './support.js';

const values = stream => stream.events.map(payload => payload.n);

test('ranges of five events', t => {
    const store = numbers(t, 5);
    const table = [
        [1, -1, [1, 2, 3, 4, 5]], [0, -1, []], [1, 0, []], [-3, -1, [3, 4, 5]], [-1, -3, [5, 4, 3]], [6, -1, []], [1, 9, []],
        [3, 2, [3, 2]], [-9, -1, [3, 4, 5]], [2, 2, [2]], [5, 1, [5, 4, 3, 2, 1]],
    ];
    for (const [min, max, expected] of table) {
        assert.deepEqual(values(store.getEventStream('foo', min, max)), expected, `foo ${min} … ${max}`);
        assert.deepEqual(values(store.getAllEvents(min, max)), expected, `_all ${min} … ${max}`);
    }
    assert.equal(store.getEventStream('foo', 1, 0).version, 0);
    assert.equal(store.getEventStream('foo', 1, 9).version, 5);
});

test('the same ranges of a stream that an accessor has made', t => {
    const store = openStore(t, { typeAccessor: 'type' });
    for (let n = 1; n <= 5; ++n) store.commit(`foo-${n}`, [{ type: 'Other', n: 0 }, { type: 'Number', n }]);
    for (const [min, max, expected] of [[1, -1, [1, 2, 3, 4, 5]], [-3, -1, [3, 4, 5]], [-1, -3, [5, 4, 3]], [3, 2, [3, 2]], [2, 2, [2]], [6, -1, []]])
        assert.deepEqual(values(store.getEventStream('Number', min, max)), expected, `${min} … ${max}`);
    assert.deepEqual(values(store.getEventStream('Number', 2, 4, { payload: { n: [3, 5] } })), [3]);
});

test('ranges in words', t => {
    const store = numbers(t, 5);
    const foo = () => store.getEventStream('foo');
    const table = [
        [foo().first(2), [1, 2]], [foo().last(2), [4, 5]], [foo().from(2).following(2), [2, 3]], [foo().from(4).previous(2), [4, 3]],
        [foo().from(-2).toEnd(), [4, 5]], [foo().from(2).until(3), [2, 3]], [foo().fromEnd().toStart(), [5, 4, 3, 2, 1]],
        [foo().backwards(), [5, 4, 3, 2, 1]], [foo().reverse(), [5, 4, 3, 2, 1]], [foo().fromEnd().backwards(2), [5, 4]],
        [foo().from(2).forwards(2), [2, 3]], [foo().backwards().forwards(), [1, 2, 3, 4, 5]], [foo().fromStart().until(-2), [1, 2, 3, 4]],
        [foo().first(9), [1, 2, 3, 4, 5]], [foo().last(9), [1, 2, 3, 4, 5]],
    ];
    for (const [n, [stream, expected]] of table.entries()) assert.deepEqual(values(stream), expected, `row ${n}`);
    assert.equal(foo().until(3).version, 3);
    assert.equal(foo().until(3).toEnd().version, 5);
});

test('ways to iterate', async t => {
    const store = numbers(t, 600);
    const expected = Array.from({ length: 600 }, (_, n) => n + 1);
    const foo = () => store.getEventStream('foo');
    assert.deepEqual(Array.from(foo(), payload => payload.n), expected);
    const walked = [];
    foo().forEach((payload, metadata, stream) => walked.push([payload.n, metadata.streamVersion + 1, stream]));
    assert.deepEqual(walked, expected.map(n => [n, n, 'foo']));
    const stream = foo();
    const stepped = [];
    for (let document; (document = stream.next()) !== false;) stepped.push(document.payload.n);
    assert.deepEqual(stepped, expected);
    assert.equal(stream.next(), false);
    const read = [];
    for await (const payload of foo()) read.push(payload.n);
    assert.deepEqual(read, expected);
    const piped = [];
    await pipeline(foo(), new Writable({ objectMode: true, write(payload, _, done) { piped.push(payload.n); done(); } }));
    assert.deepEqual(piped, expected);
});

test('payloads first, documents then: the same place', t => {
    const store = numbers(t, 100);
    const stream = store.getEventStream('foo');
    const iterator = stream[Symbol.iterator]();
    assert.equal(iterator.next().value.n, 1);
    const document = stream.next();
    assert.deepEqual([document.stream, document.payload.n, document.metadata.streamVersion], ['foo', 2, 1]);
    assert.equal(iterator.next().value.n, 3);
    assert.equal(stream.reset().next().payload.n, 1);
});

test('an iteration that is left ends the read', t => {
    const store = numbers(t, 100);
    const stream = store.getEventStream('foo');
    for (const payload of stream) if (payload.n === 3) break;
    assert.equal(stream.next(), false);
});

test('raw: lines of JSON', async t => {
    const store = openStore(t);
    store.commit('a"b', [{ text: 'é' }, { text: 'x'.repeat(400_000) }, { text: 'last' }]);
    const lines = [...store.getEventStream('a"b', 1, -1, null, true)];
    assert.deepEqual(lines.map(line => JSON.parse(line).payload.text.length), [1, 400_000, 4]);
    assert.ok(lines.every(line => line.at(-1) === 10));
    assert.equal(JSON.parse(lines[0]).stream, 'a"b');
    assert.deepEqual(JSON.parse(lines[0]), store.getEventStream('a"b').next());
    const { buffer, sequenceNumber, time64 } = store.getEventStream('a"b', 1, -1, true).next();
    assert.equal(JSON.parse(buffer).payload.text, 'é');
    assert.equal(sequenceNumber, 0);
    assert.ok(Math.abs(time64 / 1000 - Date.now()) < 60_000);
    let bytes = 0;
    for await (const chunk of store.getEventStream('a"b', 1, -1, null, true)) bytes += chunk.length;
    assert.equal(bytes, lines.reduce((sum, line) => sum + line.length, 0));
});

test('raw lines stay as they are while the stream goes on', t => {
    const store = numbers(t, 3000);
    const kept = [...store.getEventStream('foo', 1, -1, true)];
    assert.deepEqual(kept.map(line => JSON.parse(line).payload.n), Array.from({ length: 3000 }, (_, n) => n + 1));
});

test('predicates: functions and objects', t => {
    const store = openStore(t);
    store.commit('foo', [{ n: 1, s: 'a', o: { deep: true } }, { n: 2, s: 'b', l: ['x', 'y'] }, { n: 3, s: 'c', l: ['y'], o: null }], { user: 'ann' });
    store.commit('bar', { n: 4, s: 'a' }, { user: 'bob' });
    const table = [
        [payload => payload.n > 2, [3, 4]],
        [(payload, metadata) => metadata.user === 'bob', [4]],
        [{ payload: { s: 'a' } }, [1, 4]],
        [{ payload: { s: ['a', 'b'] }, metadata: { user: 'ann' } }, [1, 2]],
        [{ stream: 'bar' }, [4]],
        [{ stream: ['foo', 'bar'], payload: { n: { $gte: 2, $lt: 4 } } }, [2, 3]],
        [{ payload: { n: { $ne: 1 } } }, [2, 3, 4]],
        [{ payload: { l: { $has: 'x' } } }, [2]],
        [{ payload: { l: { $hasAny: ['x', 'y'] } } }, [2, 3]],
        [{ payload: { o: { deep: true } } }, [1]],
        [{ payload: { o: null } }, [3]],
        [{ payload: { n: '1' } }, []],
        [{ payload: { n: [] } }, []],
        [{ payload: { n: { $gt: '2' } } }, [3, 4]],
        [{ payload: { n: 1, s: undefined } }, [1]],
        [{}, [1, 2, 3, 4]],
        [{ metadata: { streamVersion: 0 } }, [1, 4]],
    ];
    for (const [n, [predicate, expected]] of table.entries()) {
        assert.deepEqual(values(store.getAllEvents(1, -1, predicate)), expected, `row ${n}`);
        assert.deepEqual(values(store.getAllEvents().where(predicate)), expected, `row ${n}, where`);
        assert.deepEqual(values(store.fromStreams('join', ['foo', 'bar'], 1, -1, predicate)), expected, `row ${n}, join`);
        assert.deepEqual(values(store.getAllEvents(-1, 1, predicate)), [...expected].reverse(), `row ${n}, backwards`);
        if (typeof predicate === 'function') continue;
        const raw = [...store.getAllEvents(1, -1, predicate, true)];
        assert.deepEqual(raw.map(line => JSON.parse(line).payload.n), expected, `row ${n}, raw`);
    }
    const bytes = [...store.getAllEvents(1, -1, buffer => buffer.includes('"n":2'), true)];
    assert.deepEqual(bytes.map(line => JSON.parse(line).payload.n), [2]);
});

test('an operator that does not exist', t => {
    const store = numbers(t, 1);
    assert.throws(() => store.getAllEvents(1, -1, { payload: { n: { $foo: 1 } } }).events, { name: 'TypeError', message: 'Unknown operator: $foo' });
});

test('what a predicate throws ends the iteration with it; with compat it ends as if there were no more', t => {
    const broken = () => { throw new Error('broken'); };
    const store = numbers(t, 3);
    assert.throws(() => store.getEventStream('foo', 1, -1, broken).events, { message: 'broken' });
    const old = numbers(t, 3, { compat: true });
    const stream = old.getEventStream('foo', 1, -1, broken);
    const told = [];
    stream.on('error', error => told.push(error.message));
    assert.deepEqual(stream.events, []);
    assert.deepEqual(told, ['broken']);
});

test('errors of a Readable are emitted', async t => {
    const store = numbers(t, 3);
    const stream = store.getEventStream('foo', 1, -1, () => { throw new Error('broken'); });
    await assert.rejects(async () => { for await (const one of stream) assert.fail(String(one)); }, { message: 'broken' });
});

test('matches', () => {
    const table = [
        [{ v: 0.5 }, { v: { $gt: 0.45 } }, true], [{ v: 1.3 }, { v: { $lt: 1.25 } }, false], [{ v: -1.25 }, { v: { $gt: -1.5 } }, true],
        [{ v: 1e21 }, { v: { $gt: 5 } }, true], [{ v: [5, 6] }, { v: { $has: 5 } }, true], [{ v: [true] }, { v: { $hasAny: [true] } }, true],
        [{ v: ['a'] }, { v: { $has: 'a', $ne: 'b' } }, true], [{ v: '7' }, { v: { $gte: 5 } }, true], [{ v: null }, { v: { $lt: 5 } }, true],
        [{ a: {} }, { a: {} }, true], [{ a: 5 }, { a: {} }, true], [{ v: [1] }, { v: { $eq: [1] } }, false], [{ a: 1 }, { v: undefined, a: 1 }, true],
        [{ a: null }, { a: { b: 1 } }, false], [{}, { v: { $ne: 1 } }, false], [{}, { a: {} }, false], [{ a: 1 }, { a: [1, 2] }, true],
    ];
    for (const [n, [document, matcher, expected]] of table.entries()) {
        assert.equal(matches(document, matcher), expected, `row ${n}`);
        assert.equal(buildRawBufferMatcher(matcher)(Buffer.from(JSON.stringify(document))), expected, `row ${n}, raw`);
    }
    assert.equal(matches(undefined, {}), false);
    assert.equal(matches({ a: 1 }), true);
    assert.equal(matches({ a: 1 }, document => document.a === 1), true);
    assert.throws(() => buildRawBufferMatcher(null), { name: 'TypeError', message: 'Matcher must be an object.' });
    assert.throws(() => buildRawBufferMatcher({ a: [{}] }), { name: 'TypeError', message: 'Array matcher values must be scalars.' });
});

test('streams that are not there', t => {
    const store = numbers(t, 1);
    assert.equal(store.getEventStream('nope'), false);
    for (const name of ['nope', '', 'x'.repeat(2000), 'é'.repeat(510), '\u0001', '$x', 'tags/', 7, undefined, null]) {
        assert.equal(store.getStreamVersion(name), -1);
        assert.equal(store.getEventStream(name), false);
    }
    const stream = new EventStream('nope', store);
    assert.equal(stream.version, -1);
    assert.deepEqual(stream.events, []);
    assert.throws(() => new EventStream('', store), { message: 'Need to specify a stream name.' });
    assert.throws(() => new EventStream('foo'), { message: 'Need to provide EventStore instance to create EventStream foo.' });
});

test('the map of streams', t => {
    const store = openStore(t, { typeAccessor: 'type', tagsAccessor: 'meta.tags' });
    store.commit('foo', { type: 'A', meta: { tags: ['x'] } });
    assert.deepEqual(Object.keys(store.streams), ['_all', 'foo', 'A', 'tags/x']);
    assert.ok('foo' in store.streams && !('bar' in store.streams) && !('constructor' in store.streams));
    assert.deepEqual(store.streams.foo.matcher, { stream: 'foo' });
    assert.deepEqual(store.streams.A.matcher, { payload: { type: 'A' } });
    assert.deepEqual(store.streams['tags/x'].matcher, { payload: { meta: { tags: { $has: 'x' } } } });
    assert.equal(store.streams.foo.index.length, 1);
    store.commit('foo', { type: 'A' });
    assert.equal(store.streams.foo.index.length, 2);
    assert.equal(store.streams.foo, store.streams.foo);
    assert.equal(store.streams.bar, undefined);
});

test('an EventStream takes anything that looks like a store', () => {
    const documents = [1, 2, 3].map(n => ({ stream: 'foo', payload: { n }, metadata: { n } }));
    const store = {
        streams: { foo: { index: { length: 3 } } },
        storage: { *readRange(from, until) { yield* documents.slice(from - 1, until); } },
    };
    assert.deepEqual(values(new EventStream('foo', store)), [1, 2, 3]);
    assert.deepEqual(values(new EventStream('foo', store, 2, -1, { payload: { n: 3 } })), [3]);
    assert.deepEqual(new EventStream('foo', store).next(), documents[0]);
});

test('joins', t => {
    const store = openStore(t);
    for (let n = 1; n <= 12; ++n) store.commit(['a', 'b', 'c'][n % 3], { n });
    const joined = (selector, ...range) => values(store.fromStreams('join', selector, ...range));
    assert.deepEqual(joined(['a', 'b']), [1, 3, 4, 6, 7, 9, 10, 12]);
    assert.deepEqual(joined(['a', 'b', 'nope']), [1, 3, 4, 6, 7, 9, 10, 12]);
    assert.deepEqual(joined(['nope']), []);
    assert.deepEqual(joined(['_all'], 4, 6), [4, 5, 6]);
    assert.deepEqual(joined(['a', 'b'], 4, 9), [4, 6, 7, 9]);
    assert.deepEqual(joined(['a', 'b'], 9, 4), [9, 7, 6, 4]);
    assert.deepEqual(joined(['a', 'b'], -1, 1), [12, 10, 9, 7, 6, 4, 3, 1]);
    assert.deepEqual(joined(['a', 'b'], 0), [1, 3, 4, 6, 7, 9, 10, 12]);
    assert.deepEqual(joined(['a'], 1, 99), [3, 6, 9, 12]);
    assert.deepEqual(joined(['a', 'b', 'c'], 13), [], 'nothing after the last');
    assert.deepEqual(joined(['a', 'b', 'c'], 12), [12]);
    assert.equal(store.fromStreams('join', ['a']).version, 12);
    assert.throws(() => store.fromStreams('join', 'a'), { message: 'Must specify an array of stream names.' });
    assert.throws(() => store.fromStreams('join', []), { message: 'Invalid selector supplied to JoinEventStream join.' });
    assert.throws(() => new JoinEventStream('join', [''], store), { message: 'Stream names must be non-empty strings.' });
    assert.throws(() => new JoinEventStream('join', [7], store), { message: 'Selector must be a string or an array.' });
});

test('categories', t => {
    const store = openStore(t);
    store.commit('user-1', { n: 1 });
    store.commit('user/2', { n: 2 });
    store.commit('username-3', { n: 3 });
    assert.deepEqual(values(store.getEventStreamForCategory('user')), [1, 2]);
    assert.deepEqual(values(store.getEventStreamForCategory('user', 2)), [2]);
    assert.throws(() => store.getEventStreamForCategory('nope'), { message: "No streams for category 'nope' exist." });
    store.commit('user', { n: 4 });
    assert.deepEqual(values(store.getEventStreamForCategory('user')), [4]);
});

test('documents by number', t => {
    const store = numbers(t, 5);
    assert.equal(store.storage.read(3).payload.n, 3);
    assert.deepEqual([...store.storage.readRange(-2, -1)].map(document => document.payload.n), [4, 5]);
    assert.deepEqual([...store.storage.readRange(2, 1, store.streams.foo.index)].map(document => document.payload.n), [2, 1]);
    assert.throws(() => [...store.storage.readRange(1, 9)], { message: 'Range scan error for range 1 - 9.' });
});

test('a raw stream that is piped has the same lines, many in a chunk, also behind what was read one by one', async t => {
    const store = numbers(t, 5000);
    const lines = [...store.getAllEvents(1, -1, null, true)].map(String);
    const piped = async stream => {
        const chunks = [];
        for await (const chunk of stream) chunks.push(chunk);
        return chunks;
    };
    const chunks = await piped(store.getAllEvents(1, -1, null, true));
    assert.equal(Buffer.concat(chunks).toString(), lines.join(''));
    assert.ok(chunks.length < 200, chunks.length);
    const begun = store.getAllEvents(1, -1, null, true);
    for (let n = 0; n < 3; ++n) begun.next();
    assert.equal(Buffer.concat(await piped(begun)).toString(), lines.slice(3).join(''));
    const odd = store.getAllEvents(1, -1, ({ n }) => n % 2 === 1, true).where(line => line.includes('1}'));
    assert.equal(Buffer.concat(await piped(odd)).toString(), lines.filter(line => line.includes('1}')).join(''));
    const seen = [];
    store.preRead(position => seen.push(position));
    assert.equal(Buffer.concat(await piped(store.getAllEvents(4990, -1, null, true))).toString(), lines.slice(4989).join(''));
    assert.deepEqual(seen, Array.from({ length: 11 }, (_, n) => 4990 + n));
    assert.deepEqual(await piped(store.getEventStream('foo').from(9).until(3).where(() => false)), []);
});

test('ranges far behind the end of a type, in both directions, are those of all its events', t => {
    const store = openStore(t, { typeAccessor: 'type' });
    for (let n = 1; n <= 6000; n += 100)
        store.commit('foo', Array.from({ length: 100 }, (_, k) => ({ n: n + k, type: (n + k) % 3 === 0 ? 'A' : 'B' })));
    const all = Array.from({ length: 2000 }, (_, n) => 3 * (n + 1));
    const ns = stream => stream.events.map(({ n }) => n);
    for (const [from, until] of [[1, 2000], [700, 800], [1487, 1488], [1488, 1488], [1999, 2000], [513, 514], [514, 520]]) {
        assert.deepEqual(ns(store.getEventStream('A', from, until)), all.slice(from - 1, until), `${from}…${until}`);
        assert.deepEqual(ns(store.getEventStream('A', until, from)), all.slice(from - 1, until).reverse(), `${until}…${from}`);
        const odd = ({ n }) => n % 2 === 1;
        assert.deepEqual(ns(store.getEventStream('A', until, from, { payload: { n: all[until - 1] } })), [all[until - 1]]);
        assert.deepEqual(ns(store.getEventStream('A', from, until, odd)), all.slice(from - 1, until).filter(n => n % 2 === 1));
    }
});

test('batches are what iterating gives, in arrays', t => {
    const store = numbers(t, 1000);
    const sizes = (stream, size) => [...stream.batches(size)].map(batch => batch.length);
    assert.deepEqual(sizes(store.getEventStream('foo'), 300), [300, 300, 300, 100]);
    assert.deepEqual(sizes(store.getEventStream('foo'), 500), [500, 500]);
    assert.deepEqual(sizes(store.getEventStream('foo').where(() => false), 10), []);
    assert.deepEqual([...store.getEventStream('foo').backwards().batches(7)].flat(), store.getEventStream('foo').backwards().events);
    assert.deepEqual([...store.getEventStream('foo', 1, 3, null, true).batches(2)].map(batch => batch.map(line => JSON.parse(line).payload.n)), [[1, 2], [3]]);
    for (const size of [0, -1, 1.5, undefined]) assert.throws(() => store.getEventStream('foo').batches(size), { code: 'invalid_argument' });
});

test('a loop over batches that is left ends the stream', t => {
    const stream = numbers(t, 1000).getEventStream('foo');
    for (const batch of stream.batches(10)) if (batch.length > 0) break;
    assert.equal(stream.next(), false);
});
