// Goal: what is told of streams beside the log is there or not, and never ahead of the events, whatever fails or dies. Method: calls of
// the file system that fail, tell what is durable, or end the process, in place of those of Node.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import EventStore from 'varve';
import { engineOf } from '../lib/engine.js';
import { Journal } from '../lib/journal.js';
import { directoryFor, numbers, openStore } from './support.js';

const ns = stream => stream.events.map(({ n }) => n);
const even = ({ payload }) => payload.n % 2 === 0;
const placeOf = directory => path.join(directory, 'store.varve');
const journalOf = directory => path.join(placeOf(directory), 'attached', 'node-streams.jsonl');

/** Replaces a function of `fs` while `during` runs. */
function instead(name, replacement, during) {
    const original = fs[name];
    fs[name] = (...values) => replacement(original, ...values);
    try {
        return during();
    } finally {
        fs[name] = original;
    }
}

function fails() {
    throw Object.assign(new Error('EIO: the disk says no'), { code: 'EIO' });
}

test('a line that can not be synced or written is not there, now or later', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory });
    store.createEventStream('three', { payload: { n: 3 } });
    const before = fs.readFileSync(journalOf(storageDirectory));
    const halfway = (write, file, line) => write(file, line.subarray(0, 10));
    for (const [name, how, message] of [['fdatasyncSync', fails, /EIO/], ['writeSync', fails, /EIO/], ['writeSync', halfway, /only 10 of .* bytes/]]) {
        assert.throws(() => instead(name, how, () => store.createEventStream('even', even)), message);
        assert.throws(() => instead(name, how, () => store.closeEventStream('foo')), message);
        assert.deepEqual(fs.readFileSync(journalOf(storageDirectory)), before);
    }
    assert.equal('even' in store.streams, false);
    assert.deepEqual(ns(store.createEventStream('even', even)), [2, 4]);
    store.commit('foo', { n: 6 });
    store.close();
    assert.deepEqual(ns(openStore(t, { storageDirectory }).getEventStream('even')), [2, 4, 6]);
});

test('a line that can not even be taken back ends the changes', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory });
    instead('ftruncateSync', fails, () => assert.throws(() => instead('fdatasyncSync', fails, () => store.closeEventStream('foo')), /EIO/));
    assert.throws(() => store.createEventStream('even', even), /node-streams\.jsonl: a line that could not be written .* could not be taken back/);
    store.close();
    assert.equal(openStore(t, { storageDirectory }).streams.foo.closed, true);
});

test('events are durable before the line that names them is written', t => {
    const store = numbers(t, 4);
    const { native } = engineOf(store);
    const seen = [];
    const look = (write, ...values) => {
        seen.push([native.durable(), store.length]);
        return write(...values);
    };
    instead('writeSync', look, () => store.createEventStream('even', even));
    store.commit('foo', { n: 5 });
    instead('writeSync', look, () => store.deleteEventStream('foo'));
    assert.deepEqual(seen, [[4, 4], [5, 5]]);
});

test('metadata of streams are as durable as the events', t => {
    for (const [durability, expected] of [['os', 0], ['disk', 1]]) {
        const store = openStore(t, { durability, streamMetadata: { foo: { owner: 'ann' } } });
        let synced = 0;
        instead('fdatasyncSync', (sync, file) => { ++synced; sync(file); }, () => store.commit('foo', { n: 1 }));
        assert.equal(synced, expected, durability);
    }
});

test('a process that dies between a commit to a deleted stream and its line', t => {
    const storageDirectory = directoryFor(t);
    const config = { storageDirectory, typeAccessor: 'type' };
    const first = new EventStore('store', config);
    first.commit('foo', [{ n: 1, type: 'A' }, { n: 2, type: 'B' }]);
    for (const name of ['foo', 'A', 'B']) first.deleteEventStream(name);
    first.close();
    // Opening brings nothing back by itself.
    const second = new EventStore('store', config);
    assert.deepEqual(Object.keys(second.streams), ['_all']);
    second.close();
    const program = `
        import fs from 'node:fs';
        import EventStore from 'varve';
        const store = new EventStore('store', ${JSON.stringify(config)});
        fs.writeSync = () => process.kill(process.pid, 'SIGKILL');
        store.commit('foo', { n: 3, type: 'A' });`;
    assert.throws(() => execFileSync(process.execPath, ['--input-type=module', '-e', program]), { signal: 'SIGKILL' });
    for (let round = 0; round < 2; ++round) {
        const store = new EventStore('store', config);
        assert.deepEqual([ns(store.getEventStream('foo')), ns(store.getEventStream('A')), 'B' in store.streams], [[1, 2, 3], [1, 3], false]);
        store.close();
    }
});

const varve = (...args) => execFileSync(process.execPath, [path.join(import.meta.dirname, '../bin/varve.js'), ...args], { encoding: 'utf8', stdio: 'pipe' });

test('a backup has the streams as well, and so has what is restored of it', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory, streamMetadata: { foo: { owner: 'ann' } } });
    store.createEventStream('even', even);
    const backup = path.join(storageDirectory, 'backup');
    varve('backup', placeOf(storageDirectory), backup);
    store.commit('bar', [{ n: 5 }, { n: 6 }]);
    store.closeEventStream('bar');
    varve('backup', placeOf(storageDirectory), backup);
    const elsewhere = directoryFor(t);
    varve('restore', backup, placeOf(elsewhere));
    const restored = openStore(t, { storageDirectory: elsewhere });
    assert.deepEqual(ns(restored.getEventStream('even')), [2, 4, 6]);
    assert.equal(restored.streams.bar.closed, true);
    assert.deepEqual(engineOf(restored).metadataOf('foo'), { owner: 'ann' });
    restored.commit('foo', { n: 8 });
    assert.deepEqual(ns(restored.getEventStream('even')), [2, 4, 6, 8]);
});

test('lines that are ahead of the events are not there: for readers at once, and when a writer comes', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory });
    store.createEventStream('even', even);
    const known = fs.readFileSync(journalOf(storageDirectory));
    const ahead = [{ op: 'create', stream: 'odd', tag: ':derived:2:odd', matcher: { payload: { n: 5 } }, after: 5, past: [5] },
        { op: 'close', stream: 'even', after: 5 }];
    store.close();
    fs.appendFileSync(journalOf(storageDirectory), ahead.map(line => `${JSON.stringify(line)}\n`).join(''));
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.deepEqual(['odd' in reader.streams, reader.streams.even.closed], [false, undefined]);
    const warned = new Promise(resolve => process.once('warning', resolve));
    const writer = openStore(t, { storageDirectory });
    assert.deepEqual(['odd' in writer.streams, writer.streams.even.closed], [false, undefined]);
    assert.deepEqual(fs.readFileSync(journalOf(storageDirectory)), known);
    assert.match(String(await warned), /node-streams\.jsonl, from line 2 on: it tells of streams up to event 5, and the store has 4/);
    writer.commit('foo', { n: 5 });
    writer.createEventStream('odd', ({ payload }) => payload.n % 2 === 1);
    assert.deepEqual(ns(reader.getEventStream('odd')), [1, 3, 5]);
});

test('where the journal was before it is read, and a writer moves it', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory });
    store.createEventStream('even', even);
    store.close();
    const former = path.join(placeOf(storageDirectory), 'node-streams.jsonl');
    fs.renameSync(journalOf(storageDirectory), former);
    fs.rmdirSync(path.dirname(journalOf(storageDirectory)));
    const reader = openStore(t, { storageDirectory, readOnly: true });
    assert.deepEqual(ns(reader.getEventStream('even')), [2, 4]);
    const writer = openStore(t, { storageDirectory });
    assert.equal(fs.existsSync(former), false);
    writer.commit('foo', { n: 6 });
    writer.closeEventStream('foo');
    assert.deepEqual([ns(reader.getEventStream('even')), reader.streams.foo.closed], [[2, 4, 6], true]);
    writer.close();
    assert.deepEqual(ns(openStore(t, { storageDirectory }).getEventStream('even')), [2, 4, 6]);
});

test('a reader keeps what is new for those alone who want to know', t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 4, { storageDirectory });
    const [quiet, told] = [0, 1].map(() => new Journal(placeOf(storageDirectory), true, '', () => 4));
    told.keepNews();
    store.createEventStream('even', even);
    for (const one of [quiet, told]) one.refresh();
    assert.equal(quiet.derived.has('even'), true);
    assert.deepEqual(quiet.takeNews(), []);
    assert.deepEqual(told.takeNews().map(({ op, stream }) => [op, stream]), [['create', 'even']]);
    assert.deepEqual(told.takeNews(), []);
    for (const one of [quiet, told]) one.close();
});
