// Goal: opening, committing and what commits tell. Method: each behaviour of node-event-storage, one test; defects of it that are
// not kept are tested as they are here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import EventStore, { CommitCondition, ExpectedVersion, OptimisticConcurrencyError, StorageLockedError, VERSION } from 'varve';
import { directoryFor, openStore, turn } from './support.js';

test('commits and reads in the tick of the constructor', t => {
    const store = openStore(t);
    store.commit('foo', [{ a: 1 }, { a: 2 }]);
    assert.equal(store.length, 2);
    assert.equal(store.getStreamVersion('foo'), 2);
    assert.deepEqual(store.getEventStream('foo').events, [{ a: 1 }, { a: 2 }]);
});

test('ready comes later, also when events were committed before', async t => {
    const store = openStore(t);
    let ready = 0;
    store.on('ready', () => ++ready);
    store.commit('foo', { a: 1 });
    assert.equal(ready, 0);
    await turn();
    await turn();
    assert.equal(ready, 1);
});

test('names itself', t => {
    const storageDirectory = directoryFor(t);
    const store = new EventStore({ storageDirectory });
    t.after(() => store.close());
    assert.equal(store.storeName, 'eventstore');
    assert.equal(store.storageDirectory, storageDirectory);
    assert.equal(store.streamsDirectory, path.join(storageDirectory, 'streams'));
    assert.equal(EventStore.VERSION, VERSION);
    assert.match(VERSION, /^\d+\.\d+\.\d+$/);
});

test('events are there after reopening', t => {
    const storageDirectory = directoryFor(t);
    const first = new EventStore('store', { storageDirectory });
    first.commit('foo', [{ a: 'é' }, { a: '\u0001"\\ 😀' }], { user: 'ann' });
    first.close();
    const again = openStore(t, { storageDirectory });
    assert.deepEqual(again.getEventStream('foo').events, [{ a: 'é' }, { a: '\u0001"\\ 😀' }]);
    assert.equal(again.getEventStream('foo').next().metadata.user, 'ann');
});

test('documents have stream, payload and metadata in the order of node-event-storage', t => {
    const store = openStore(t);
    store.commit('bar', { b: 1 });
    store.commit('foo', [{ a: 1 }, { a: 2 }], { user: 'ann', trace: { id: 7 } });
    const stream = store.getEventStream('foo');
    stream.next();
    const document = stream.next();
    assert.deepEqual(Object.keys(document), ['stream', 'payload', 'metadata']);
    assert.deepEqual(Object.keys(document.metadata),
        ['commitId', 'committedAt', 'commitVersion', 'commitSize', 'user', 'trace', 'streamVersion']);
    const { committedAt, ...rest } = document.metadata;
    assert.deepEqual(rest, { commitId: 1, commitVersion: 1, commitSize: 2, user: 'ann', trace: { id: 7 }, streamVersion: 1 });
    assert.ok(Math.abs(Date.now() - committedAt) < 60_000);
});

test('metadata of the caller replaces the store\'s in place, except the version of the stream', t => {
    const store = openStore(t);
    store.commit('foo', { a: 1 }, { streamVersion: 9, commitId: 5, user: 'ann' });
    const { metadata } = store.getEventStream('foo').next();
    assert.deepEqual(Object.keys(metadata), ['commitId', 'committedAt', 'commitVersion', 'commitSize', 'streamVersion', 'user']);
    assert.equal(metadata.commitId, 5);
    assert.equal(metadata.streamVersion, 0);
    store.commit('foo', [{ a: 2 }, { a: 3 }], { commitVersion: 7 });
    assert.equal(store.getEventStream('foo').last(1).next().metadata.commitVersion, 1);
});

test('the callback gets the commit after the event commit, in a later turn', async t => {
    const store = openStore(t);
    const told = [];
    store.on('commit', commit => told.push(['event', commit]));
    store.commit('bar', { b: 1 });
    store.commit('foo', [{ a: 1 }, { a: 2 }], ExpectedVersion.EmptyStream, { user: 'ann' }, commit => told.push(['callback', commit]));
    assert.equal(told.length, 0);
    await turn();
    assert.deepEqual(told.map(([kind]) => kind), ['event', 'event', 'callback']);
    const { committedAt, ...commit } = told[2][1];
    assert.deepEqual(commit, { commitId: 1, user: 'ann', streamName: 'foo', streamVersion: 0, events: [{ a: 1 }, { a: 2 }] });
    assert.equal(typeof committedAt, 'number');
});

test('arguments may be left out', async t => {
    const store = openStore(t);
    let called = 0;
    store.commit('foo', { a: 1 }, () => ++called);
    store.commit('foo', { a: 1 }, { user: 'ann' }, () => ++called);
    store.commit('foo', { a: 1 }, 2, () => ++called);
    store.commit('foo', { a: 1 }, 3, null);
    await turn();
    assert.equal(called, 3);
    assert.equal(store.length, 4);
    assert.equal(store.commit('foo', { a: 1 }), undefined);
});

test('expected versions', t => {
    const store = openStore(t);
    store.commit('foo', { a: 1 }, ExpectedVersion.EmptyStream);
    store.commit('foo', { a: 2 }, 1);
    store.commit('foo', { a: 3 }, ExpectedVersion.Any);
    for (const wrong of [0, 1, 2, 4, -2, 1.5, NaN]) {
        assert.throws(() => store.commit('foo', { a: 4 }, wrong), error => {
            assert.ok(error instanceof OptimisticConcurrencyError);
            assert.equal(error.message, `Optimistic Concurrency error. Expected stream "foo" at version ${wrong} but is at version 3.`);
            return true;
        });
    }
    assert.throws(() => store.commit('other', { a: 4 }, 1), /Expected stream "other" at version 1 but is at version 0\./);
    assert.equal(store.length, 3);
});

test('arguments that can not be', t => {
    const store = openStore(t);
    assert.throws(() => store.commit('', { a: 1 }), { message: 'Must specify a stream name for commit.' });
    assert.throws(() => store.commit(undefined, { a: 1 }), { message: 'Must specify a stream name for commit.' });
    assert.throws(() => store.commit('foo'), { message: 'No events specified for commit.' });
    assert.throws(() => store.commit('foo', null), { message: 'No events specified for commit.' });
    assert.throws(() => store.commit('$foo', { a: 1 }), { code: 'invalid_argument' });
    assert.throws(() => store.commit('x'.repeat(1025), { a: 1 }), { code: 'invalid_argument' });
    assert.equal(store.length, 0);
});

test('values that JSON can not carry are refused with their path, and nothing of the commit is stored', t => {
    const store = openStore(t);
    const circle = { inner: [{}] };
    circle.inner[0].outer = circle;
    const refused = [
        [{ a: { b: [1, 2n] } }, 'payload.a.b[1]: a BigInt has no form in JSON'],
        [{ 'a b': NaN }, 'payload["a b"]: NaN has no form in JSON'],
        [{ a: -Infinity }, 'payload.a: -Infinity has no form in JSON'],
        [{ a: [undefined] }, 'payload.a[0]: undefined has no form in JSON'],
        [circle, 'payload.inner[0].outer: it contains itself'],
    ];
    for (const [payload, why] of refused)
        assert.throws(() => store.commit('foo', payload), { name: 'TypeError', message: `Can not store ${why}.` });
    assert.throws(() => store.commit('foo', [{ a: 1 }, { b: NaN }]), { message: 'Can not store events[1].b: NaN has no form in JSON.' });
    assert.throws(() => store.commit('foo', { a: 1 }, { user: 1n }), /metadata\.user: a BigInt/);
    assert.equal(store.length, 0);
    store.commit('foo', [{ a: null, b: undefined, c: new Date(0) }, null, undefined, 7, 'x']);
    assert.deepEqual(store.getEventStream('foo').events, [{ a: null, c: '1970-01-01T00:00:00.000Z' }, null, undefined, 7, 'x']);
});

test('a hook that throws before a commit leaves nothing of it', t => {
    const store = openStore(t);
    store.storage.on('preCommit', document => {
        if (document.payload.bad) throw new Error('denied');
    });
    assert.throws(() => store.commit('foo', [{ a: 1 }, { bad: true }]), { message: 'denied' });
    assert.equal(store.length, 0);
    store.commit('foo', { a: 1 });
    assert.deepEqual(store.getAllEvents().next().payload, { a: 1 });
});

test('no events, no commit', async t => {
    const store = openStore(t);
    let called = 0;
    store.commit('foo', [], () => ++called);
    await turn();
    assert.equal(called, 0);
    assert.equal(store.length, 0);
});

test('stream-available and stream-created name new streams once', t => {
    const store = openStore(t, { typeAccessor: 'type', tagsAccessor: 'tags', streamSources: [{ path: 'customer', nameBuilder: id => `customer-${id}` }] });
    const created = [];
    store.on('stream-created', name => created.push(name));
    store.commit('foo', [{ type: 'A', tags: ['x'], customer: '7' }, { type: 'A' }]);
    store.commit('foo', { type: 'B', tags: ['x', 'y'] });
    assert.deepEqual(created, ['foo', 'A', 'tags/x', 'customer-7', 'B', 'tags/y']);
});

test('streams that exist are told of when the store is ready', async t => {
    const storageDirectory = directoryFor(t);
    const first = new EventStore('store', { storageDirectory });
    first.commit('foo', { a: 1 });
    first.commit('bar', { a: 1 });
    first.close();
    const available = [];
    const again = openStore(t, { storageDirectory });
    again.on('stream-available', name => available.push(name));
    await turn();
    await turn();
    assert.deepEqual(available.sort(), ['bar', 'foo']);
});

test('one writer; whoever else wants to write gets a StorageLockedError that names the holder', t => {
    const storageDirectory = directoryFor(t);
    const store = openStore(t, { storageDirectory });
    assert.throws(() => new EventStore('store', { storageDirectory }), error => {
        assert.ok(error instanceof StorageLockedError);
        assert.match(error.message, /^Storage store is locked by another process/);
        assert.match(error.holder, new RegExp(String(process.pid)));
        return true;
    });
    store.close();
    openStore(t, { storageDirectory });
});

test('a lock does not outlive its holder', t => {
    const storageDirectory = directoryFor(t);
    const code = `import EventStore from 'varve';
        const store = new EventStore('store', { storageDirectory: ${JSON.stringify(storageDirectory)} });
        store.commit('foo', { a: 1 });
        process.kill(process.pid, 'SIGKILL');`;
    assert.throws(() => execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: import.meta.dirname ?? process.cwd() }));
    const store = openStore(t, { storageDirectory });
    assert.deepEqual(store.getEventStream('foo').events, [{ a: 1 }]);
});

test('read-only stores refuse to write, see what is written, and must exist', t => {
    const storageDirectory = directoryFor(t);
    assert.throws(() => new EventStore('store', { storageDirectory, readOnly: true }), { code: 'not_found' });
    const writer = openStore(t, { storageDirectory });
    writer.commit('foo', { a: 1 });
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.throws(() => reader.commit('foo', { a: 1 }), { message: 'The storage was opened in read-only mode. Can not commit to it.' });
    assert.equal(reader.length, 1);
    writer.commit('foo', { a: 2 });
    assert.deepEqual(reader.getEventStream('foo').events, [{ a: 1 }, { a: 2 }]);
});

test('use after close throws, also of streams that were begun', t => {
    const store = openStore(t);
    store.commit('foo', Array.from({ length: 1000 }, (_, n) => ({ n })));
    const begun = store.getEventStream('foo');
    begun.next();
    store.close();
    store.close();
    assert.throws(() => store.commit('foo', { a: 1 }), { code: 'closed' });
    assert.throws(() => store.length, { code: 'closed' });
    assert.throws(() => begun.events, { code: 'closed' });
    assert.throws(() => store.getEventStream('foo'), { code: 'closed' });
});

test('a directory of event-storage whose index is damaged is named and left alone', t => {
    const storageDirectory = directoryFor(t);
    fs.mkdirSync(path.join(storageDirectory, 'streams'));
    fs.writeFileSync(path.join(storageDirectory, 'streams/store.index'), 'nesidx01');
    assert.throws(() => new EventStore('store', { storageDirectory }), /streams\/store\.index: Invalid metadata size\./);
    assert.deepEqual(fs.readdirSync(storageDirectory), ['streams']);
});

test('durability: os by default, disk on request', t => {
    const soft = openStore(t);
    soft.commit('foo', { a: 1 });
    assert.equal(soft.storage.flush(), true);
    const hard = openStore(t, { durability: 'disk' });
    hard.commit('foo', { a: 1 });
    assert.equal(hard.length, 1);
    assert.throws(() => openStore(t, { durability: 'maybe' }), /durability must be one of os, interval, disk/);
});

test('a serializer of the caller\'s', t => {
    const storageDirectory = directoryFor(t);
    const serializer = {
        serialize: document => Buffer.from(JSON.stringify(document)).toString('base64'),
        deserialize: text => JSON.parse(Buffer.from(text, 'base64').toString()),
    };
    const store = openStore(t, { storageDirectory, storageConfig: { serializer } });
    store.commit('foo', [{ a: 1 }, { a: 2 }], { user: 'ann' });
    const document = store.getEventStream('foo').last(1).next();
    assert.deepEqual([document.stream, document.payload, document.metadata.streamVersion, document.metadata.user], ['foo', { a: 2 }, 1, 'ann']);
    assert.deepEqual(store.getEventStream('foo', 1, -1, { payload: { a: 2 } }).events, [{ a: 2 }]);
    const [line] = store.getEventStream('foo', 1, 1, null, true);
    assert.deepEqual(serializer.deserialize(line.toString().trim()).payload, { a: 1 });
});

test('conditions', t => {
    const store = openStore(t);
    store.commit('foo', { a: 1 });
    store.commit('foo', { a: 2 }, new CommitCondition(['bar'], null, 0));
    store.commit('bar', { b: 1 }, new CommitCondition(['bar'], null, 0));
    assert.throws(() => store.commit('foo', { a: 3 }, new CommitCondition(['bar'], null, 2)), error => {
        assert.ok(error instanceof OptimisticConcurrencyError);
        assert.equal(error.message, 'Optimistic Concurrency error. A conflicting event was committed since the condition was obtained.');
        assert.deepEqual(error.event.payload, { b: 1 });
        assert.equal(error.position, 3);
        return true;
    });
    store.commit('foo', { a: 3 }, new CommitCondition(['bar'], null, 3));
    store.commit('foo', { a: 4 }, new CommitCondition(['bar'], { payload: { b: 2 } }, 0));
    assert.throws(() => store.commit('foo', { a: 5 }, new CommitCondition(['bar'], { payload: { b: { $gte: 1 } } }, 0)), OptimisticConcurrencyError);
    assert.throws(() => store.commit('foo', { a: 5 }, new CommitCondition(['bar'], payload => payload.b === 1, 0)), OptimisticConcurrencyError);
    assert.equal(store.length, 5);
});

test('a condition whose matcher throws refuses the commit', t => {
    const store = openStore(t);
    store.commit('bar', { b: 1 });
    const condition = new CommitCondition(['bar'], () => { throw new Error('broken'); }, 0);
    assert.throws(() => store.commit('foo', { a: 1 }, condition), { message: 'broken' });
    assert.equal(store.length, 1);
});

test('a null that is none of the payload is found wherever its text stands', t => {
    const store = openStore(t);
    for (let before = 0; before < 140; ++before) {
        const text = 'n'.repeat(before);
        assert.throws(() => store.commit('foo', { text, no: NaN }), /payload\.no: NaN has no form in JSON/);
        assert.throws(() => store.commit('foo', [{ n: 1 }, { text, no: [undefined] }, {}]), /events\[1\]\.no\[0\]: undefined has no form in JSON/);
        assert.equal(store.length, 2 * before);
        store.commit('foo', [{ text, yes: null }, `${text}null`]);
        assert.deepEqual(store.getEventStream('foo').last(2).events, [{ text, yes: null }, `${text}null`]);
    }
});

test('a commit follows what the one before it has told, whatever failed in between and whichever stream it was to', t => {
    const store = openStore(t);
    const told = [];
    const commit = (name, ...more) => store.commit(name, [{ name }, { name }], ...more);
    for (const name of ['foo', 'foo', 'bar', 'foo', 'bar', 'bar']) {
        commit(name);
        assert.throws(() => commit(name, 17));
        assert.throws(() => commit('baz', 1));
    }
    const stream = store.getAllEvents();
    for (let one; (one = stream.next()) !== false;) told.push([one.stream, one.metadata.commitId, one.metadata.commitVersion, one.metadata.streamVersion]);
    const versions = { foo: 0, bar: 0 };
    assert.deepEqual(told, ['foo', 'foo', 'bar', 'foo', 'bar', 'bar'].flatMap((name, n) => [0, 1].map(k => [name, 2 * n, k, versions[name]++])));
});
