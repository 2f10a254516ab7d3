// Goal: derived, closed and deleted streams, metadata of streams, hooks. Method: each behaviour of node-event-storage, one test;
// each also after reopening.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import EventStore, { OptimisticConcurrencyError } from 'varve';
import { directoryFor, numbers, openStore, turn, until } from './support.js';

const ns = stream => stream.events.map(({ n }) => n);
const even = ({ payload }) => payload.n % 2 === 0;
const journalOf = directory => path.join(directory, 'store.varve', 'attached', 'node-streams.jsonl');

for (const [kind, matcher, expected] of [
    ['a function', even, [2, 4, 6, 8]],
    ['an object that the store knows', { stream: 'foo', payload: { kind: 'x' } }, [3, 6]],
    ['an object that JavaScript looks at', { payload: { n: { $gt: 3, $ne: 5 } } }, [4, 6, 7, 8]],
    ['an object over metadata', { metadata: { user: 'ann' } }, [5, 6, 7, 8]],
]) {
    test(`a stream derived by ${kind}: what is there, what comes, after reopening`, t => {
        const storageDirectory = directoryFor(t);
        const events = from => [0, 1, 2, 3].map(n => ({ n: from + n, kind: (from + n) % 3 === 0 ? 'x' : 'y' }));
        const first = new EventStore('store', { storageDirectory });
        first.commit('foo', events(1));
        const stream = first.createEventStream('derived', matcher);
        assert.equal(stream.name, 'derived');
        assert.deepEqual(ns(stream), expected.filter(n => n <= 4));
        first.commit('foo', events(5), { user: 'ann' });
        assert.equal(first.length, 8);
        const check = store => {
            assert.equal(store.getStreamVersion('derived'), expected.length);
            const whole = () => store.getEventStream('derived');
            assert.deepEqual(ns(whole()), expected);
            assert.deepEqual(ns(whole().backwards()), [...expected].reverse());
            for (let from = 1; from <= expected.length; ++from)
                for (let until = 1; until <= expected.length; ++until) {
                    const part = expected.slice(Math.min(from, until) - 1, Math.max(from, until));
                    assert.deepEqual(ns(store.getEventStream('derived', from, until)), from > until ? part.reverse() : part);
                }
            const document = whole().next();
            assert.equal(document.payload.n, expected[0]);
            assert.deepEqual([...store.getEventStream('derived', 1, -1, null, true)].map(line => JSON.parse(line).payload.n), expected);
            assert.deepEqual(ns(store.fromStreams('join', ['derived', 'bar'])), expected);
            assert.deepEqual(ns(store.fromStreams('join', [['derived', 'foo']], -1, 1)), [...expected].reverse());
            assert.deepEqual(ns(whole().where({ payload: { n: expected[1] } })), [expected[1]]);
        };
        check(first);
        first.close();
        const again = new EventStore('store', { storageDirectory });
        check(again);
        again.close();
        check(openStore(t, { storageDirectory, readOnly: true }));
    });
}

test('without reindex only what comes', t => {
    const store = numbers(t, 4);
    assert.deepEqual(ns(store.createEventStream('even', even, false)), []);
    store.commit('foo', [{ n: 5 }, { n: 6 }]);
    assert.deepEqual(ns(store.getEventStream('even')), [6]);
    assert.equal(store.getStreamVersion('even'), 1);
});

test('making a stream: refusals and events', async t => {
    const store = numbers(t, 2);
    const told = [];
    for (const event of ['stream-available', 'stream-created']) store.on(event, name => told.push([event, name]));
    assert.throws(() => store.createEventStream('bar'), /Need to specify a matcher\./);
    assert.throws(() => store.createEventStream('foo', even), /Can not recreate stream!/);
    assert.throws(() => store.createEventStream('a\nb', even), { code: 'invalid_argument' });
    assert.throws(() => store.createEventStream('max', Math.max), /can not be stored/);
    store.createEventStream('even', even);
    assert.deepEqual(told, [['stream-available', 'even'], ['stream-created', 'even']]);
    await turn();
    await turn();
    assert.throws(() => store.createEventStream('even', even), /Can not recreate stream!/);
    assert.equal(store.streams.even.matcher, even);
});

test('every start may say so anew, with the same matcher', t => {
    const storageDirectory = directoryFor(t);
    const first = numbers(t, 4, { storageDirectory });
    first.createEventStream('even', even);
    first.createEventStream('three', { payload: { n: 3 } });
    first.close();
    const store = openStore(t, { storageDirectory });
    assert.deepEqual(ns(store.createEventStream('even', even)), [2, 4]);
    assert.deepEqual(ns(store.createEventStream('three', { payload: { n: 3 } })), [3]);
    assert.throws(() => store.createEventStream('three', { payload: { n: 4 } }), /Index metadata mismatch! \{"matcher":\{"payload":\{"n":3\}\}\}/);
});

test('a function whose signature does not hold refuses to open for writing, and nothing is lost', t => {
    const storageDirectory = directoryFor(t);
    const storageConfig = { hmacSecret: 'secret' };
    const first = numbers(t, 4, { storageDirectory, storageConfig });
    first.createEventStream('even', even);
    first.close();
    const before = fs.readFileSync(journalOf(storageDirectory));
    for (const wrong of [{}, { hmacSecret: 'other' }])
        assert.throws(() => new EventStore('store', { storageDirectory, storageConfig: wrong }), { message: 'Invalid HMAC for matcher.', stream: 'even' });
    assert.deepEqual(fs.readFileSync(journalOf(storageDirectory)), before);
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.deepEqual(ns(reader.getEventStream('even')), [2, 4]);
    const store = openStore(t, { storageDirectory, storageConfig });
    store.commit('foo', { n: 6 });
    assert.deepEqual(ns(store.getEventStream('even')), [2, 4, 6]);
});

test('the signature is that of event-storage', t => {
    const storageDirectory = directoryFor(t);
    const store = openStore(t, { storageDirectory });
    store.createEventStream('all', (0, eval)('(e) => true'));
    const [line] = fs.readFileSync(journalOf(storageDirectory), 'utf8').split('\n');
    assert.equal(JSON.parse(line).hmac, '9f96c6a1128882ff1e17c20f5dd85f4b34ab6e98093715ab26cddb94076fb9c1');
});

test('a matcher that throws keeps the commit from happening', t => {
    const store = numbers(t, 1);
    store.createEventStream('odd', document => document.payload.n.value === 1, false);
    assert.throws(() => store.commit('foo', [{ n: { value: 1 } }, {}]), TypeError);
    assert.equal(store.length, 1);
});

test('a line that a crash cut off is not there; one that is damaged is an error that says where', t => {
    const storageDirectory = directoryFor(t);
    const first = numbers(t, 4, { storageDirectory });
    first.createEventStream('even', even);
    first.close();
    const whole = fs.readFileSync(journalOf(storageDirectory));
    fs.appendFileSync(journalOf(storageDirectory), '{"op":"delete","str');
    const second = new EventStore('store', { storageDirectory });
    assert.deepEqual(ns(second.getEventStream('even')), [2, 4]);
    second.close();
    assert.deepEqual(fs.readFileSync(journalOf(storageDirectory)), whole);
    fs.writeFileSync(journalOf(storageDirectory), `{"op":"close"\n${whole}`);
    assert.throws(() => new EventStore('store', { storageDirectory }), /node-streams\.jsonl, line 1: /);
    fs.writeFileSync(journalOf(storageDirectory), '{"op":"rename","stream":"even"}\n');
    assert.throws(() => new EventStore('store', { storageDirectory }), /"rename" is of a later version/);
    fs.writeFileSync(journalOf(storageDirectory), whole);
    assert.deepEqual(ns(openStore(t, { storageDirectory }).getEventStream('even')), [2, 4]);
});

test('conditions over derived streams', t => {
    const store = numbers(t, 4);
    const before = store.query(['even']).condition;
    store.createEventStream('even', even);
    const early = { ...store.query(['even']).condition };
    const { condition } = store.query(['even']);
    store.commit('foo', { n: 5 }, condition);
    assert.equal(store.length, 5);
    store.commit('foo', { n: 6 });
    assert.throws(() => store.commit('foo', { n: 7 }, condition), OptimisticConcurrencyError);
    before.noneMatchAfter = 3;
    assert.throws(() => store.commit('foo', { n: 7 }, before), OptimisticConcurrencyError);
    assert.equal(early.noneMatchAfter, 4);
    assert.throws(() => store.commit('even', { n: 7 }, 2), /at version 2 but is at version 3/);
});

test('consumers of derived streams', async t => {
    const store = numbers(t, 4);
    store.createEventStream('even', even);
    const got = [];
    const consumer = store.getConsumer('even', 'one');
    consumer.on('data', ({ payload }) => got.push(payload.n));
    await until(() => got.length === 2);
    store.commit('foo', [{ n: 5 }, { n: 6 }, { n: 7 }]);
    await until(() => got.length === 3);
    assert.deepEqual(got, [2, 4, 6]);
    assert.equal(consumer.position, 3);
});

test('closed streams are read, not written', t => {
    const storageDirectory = directoryFor(t);
    const config = { storageDirectory, typeAccessor: 'type' };
    const first = numbers(t, 4, config);
    first.createEventStream('even', even);
    first.commit('bar', { n: 0, type: 'A' });
    const told = [];
    first.on('stream-closed', name => told.push(name));
    for (const name of ['foo', 'even', 'A']) first.closeEventStream(name);
    assert.deepEqual(told, ['foo', 'even', 'A']);
    assert.throws(() => first.closeEventStream('foo'), /Stream "foo" is already closed\./);
    assert.throws(() => first.closeEventStream('nope'), /Stream "nope" does not exist\./);
    const check = store => {
        assert.throws(() => store.commit('foo', { n: 5 }), /Stream "foo" is closed and cannot be written to\./);
        store.commit('bar', { n: 6, type: 'A' });
        assert.deepEqual(['foo', 'even', 'A'].map(name => ns(store.getEventStream(name))), [[1, 2, 3, 4], [2, 4, 0], [0]]);
        assert.equal(store.streams.foo.closed, true);
    };
    check(first);
    first.close();
    check(openStore(t, config));
});

test('deleted streams are unknown; what is in the store stays', t => {
    const storageDirectory = directoryFor(t);
    const first = numbers(t, 4, { storageDirectory });
    first.createEventStream('even', even);
    const told = [];
    first.on('stream-deleted', name => told.push(name));
    first.deleteEventStream('nope');
    first.deleteEventStream('even');
    first.deleteEventStream('foo');
    assert.deepEqual(told, ['even', 'foo']);
    const gone = store => {
        assert.deepEqual([store.getEventStream('foo'), store.getEventStream('even'), store.getStreamVersion('foo')], [false, false, -1]);
        assert.deepEqual(Object.keys(store.streams), ['_all']);
        assert.equal(store.length, 4);
    };
    gone(first);
    first.close();
    const store = openStore(t, { storageDirectory });
    gone(store);
    // A stream of that name may be made anew, with another matcher, and has nothing of the old one.
    assert.deepEqual(ns(store.createEventStream('even', ({ payload }) => payload.n === 3)), [3]);
    store.commit('foo', { n: 6 });
    assert.deepEqual(ns(store.getEventStream('even')), [3]);
    assert.deepEqual(ns(store.getEventStream('foo')), [1, 2, 3, 4, 6]);
});

test('metadata of streams: kept from their beginning, given to the hooks', t => {
    const storageDirectory = directoryFor(t);
    const first = openStore(t, { storageDirectory, streamMetadata: { foo: { owner: 'ann' } } });
    const seen = [];
    first.preCommit((document, metadata) => seen.push([document.payload.n, metadata]));
    first.commit('foo', { n: 1 });
    first.commit('bar', { n: 2 });
    assert.deepEqual(seen, [[1, { owner: 'ann' }], [2, {}]]);
    first.close();
    const store = openStore(t, { storageDirectory, streamMetadata: name => ({ owner: `of ${name}` }) });
    store.commit('foo', { n: 3 });
    store.commit('baz', { n: 4 });
    const read = [];
    store.preRead((position, metadata) => read.push([position, metadata.owner]));
    assert.deepEqual(ns(store.getAllEvents()), [1, 2, 3, 4]);
    assert.deepEqual(read, [[1, 'ann'], [2, undefined], [3, 'ann'], [4, 'of baz']]);
});

test('hooks refuse', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 2, { storageDirectory });
    const commit = document => { if (document.payload.n === 4) throw new Error('not this'); };
    store.on('preCommit', commit);
    assert.throws(() => store.commit('foo', [{ n: 3 }, { n: 4 }]), /not this/);
    assert.equal(store.length, 2);
    store.off('preCommit', commit);
    store.commit('foo', { n: 4 });
    store.once('preRead', () => { throw new Error('not you'); });
    assert.throws(() => store.getEventStream('foo').events, /not you/);
    assert.equal(store.getEventStream('foo').events.length, 3);
    store.preRead(position => { if (position === 2) throw new Error('not that'); });
    const raw = store.getEventStream('foo', 1, -1, null, true);
    assert.equal(JSON.parse(raw.next().buffer).payload.n, 1);
    assert.throws(() => raw.next(), /not that/);
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.throws(() => reader.preCommit(() => {}), /Can not register a preCommit handler on it\./);
    for (const [call, message] of [
        [() => reader.createEventStream('x', even), /Can not create new stream on it\./],
        [() => reader.deleteEventStream('foo'), /Can not delete a stream on it\./],
        [() => reader.closeEventStream('foo'), /Can not close a stream on it\./],
    ]) assert.throws(call, message);
});

test('a reader sees what the writer makes, closes and deletes', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory });
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.equal(reader.getEventStream('even'), false);
    store.createEventStream('even', even);
    assert.deepEqual(ns(reader.getEventStream('even')), [2, 4]);
    store.commit('foo', { n: 6 });
    assert.deepEqual(ns(reader.getEventStream('even')), [2, 4, 6]);
    store.closeEventStream('even');
    assert.equal(reader.streams.even.closed, true);
    store.deleteEventStream('even');
    assert.equal(reader.getEventStream('even'), false);
});

test('tags of events can not pose as streams', t => {
    const store = openStore(t, { tagsAccessor: 'tags', typeAccessor: 'type' });
    store.commit('foo', { n: 1, type: ['A', 'B'] });
    store.createEventStream('even', even);
    store.commit('foo', { n: 2, type: ['A', 'B'] });
    store.commit('foo', { n: 3, tags: ['derived:1:even', 'stream:B', 'stream:bar'] });
    assert.deepEqual([ns(store.getEventStream('even')), ns(store.getEventStream('B')), 'bar' in store.streams], [[2], [1, 2], false]);
    assert.deepEqual(ns(store.getEventStream('tags/derived:1:even')), [3]);
    assert.deepEqual(Object.keys(store.streams).sort(), ['A', 'B', '_all', 'even', 'foo', 'tags/derived:1:even', 'tags/stream:B', 'tags/stream:bar']);
    for (const tag of [':stream:bar', ':derived:1:even']) assert.throws(() => store.commit('foo', { n: 4, tags: [tag] }), /Invalid stream name/);
});

test('streams get what the hooks have made of the documents', t => {
    const storageDirectory = directoryFor(t);
    const config = { storageDirectory, typeAccessor: 'type', tagsAccessor: 'tags' };
    const store = openStore(t, config);
    store.createEventStream('even', even);
    store.createEventStream('ann', { metadata: { user: 'ann' } });
    store.preCommit(document => {
        document.payload = { ...document.payload, n: document.payload.n + 1, type: 'Hooked', tags: ['x'] };
        document.metadata.user = 'ann';
    });
    store.commit('foo', [{ n: 1, type: 'Given' }, { n: 2 }]);
    assert.deepEqual(['foo', 'even', 'ann', 'Hooked', 'tags/x'].map(name => ns(store.getEventStream(name))), [[2, 3], [2], [2, 3], [2, 3], [2, 3]]);
    assert.equal('Given' in store.streams, false);
    store.off('preCommit', store.storage.listeners('preCommit')[0]);
    // A hook that is called once: the metadata is still what it has made of it.
    store.once('preCommit', document => { document.metadata.user = 'ann'; });
    store.commit('foo', { n: 4 });
    assert.deepEqual(ns(store.getEventStream('ann')), [2, 3, 4]);
    assert.equal(store.getEventStream('foo', -1).next().metadata.user, 'ann');
});

test('reading what was there before a stream was made backwards leaves its list as it is', t => {
    const store = numbers(t, 10);
    store.createEventStream('even', even);
    const join = (...range) => ns(store.fromStreams('join', ['even'], ...range));
    for (let round = 0; round < 2; ++round) {
        assert.deepEqual(join(10, 1), [10, 8, 6, 4, 2]);
        assert.deepEqual(join(8, 3), [8, 6, 4]);
        assert.deepEqual(ns(store.getEventStream('even', 4, 2)), [8, 6, 4]);
        assert.deepEqual(join(1, 10), [2, 4, 6, 8, 10]);
        assert.deepEqual(join(2, 2), [2]);
        assert.deepEqual(join(3, 3), []);
    }
});
