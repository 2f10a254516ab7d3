// Goal: Storage reads, writes, repairs and follows storages of event-storage. Method: the same directory in turn in both, tearing and
// cutting of files, a process that is killed, and the storages that event-storage 1.4 has written, where they are there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { once } from 'node:events';
import { test } from 'node:test';
import { Index, LOCK_RECLAIM, LOCK_THROW, Partition, Storage, StorageLockedError } from 'varve';
import { directoryFor, turn, until } from './support.js';

const Original = createRequire(import.meta.url)('event-storage');

function storageFor(t, config = {}) {
    const storage = new Storage('st', { dataDirectory: config.dataDirectory ?? directoryFor(t), ...config });
    t.after(() => storage.close());
    return storage;
}

function opened(t, config) {
    const storage = storageFor(t, config);
    storage.open();
    return storage;
}

const byKind = document => document.kind ?? '';

function filled(t, count, config = {}) {
    const storage = opened(t, { partitioner: byKind, ...config });
    for (let n = 1; n <= count; ++n) storage.write({ n, kind: ['a', 'b', 'deep/c'][n % 3] });
    return storage;
}

const numbers = documents => [...documents].map(({ n }) => n);
const count = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

test('documents are written and read in the turn of the constructor', async t => {
    const storage = storageFor(t);
    const told = [];
    storage.on('wrote', (document, entry, place) => told.push([document.n, entry.number, place]));
    assert.equal(storage.write({ n: 1 }, () => told.push('flushed')), 1);
    assert.equal(storage.write({ n: 2 }), 2);
    assert.equal(storage.length, 2);
    assert.deepEqual(storage.read(2), { n: 2 });
    assert.equal(storage.read(3), false);
    assert.deepEqual(told, []);
    await turn();
    assert.deepEqual(told, ['flushed']);
    assert.equal(storage.flush(), true);
    assert.equal(storage.flush(), false);
    assert.deepEqual(told, ['flushed', [1, 1, 1], [2, 2, 2]]);
});

test('opening tells of what is there, once', async t => {
    const { dataDirectory } = filled(t, 10);
    const storage = storageFor(t, { dataDirectory: directoryFor(t) });
    assert.equal(storage.initialized, null);
    let called = 0;
    assert.equal(storage.open(() => ++called), true);
    assert.equal(storage.initialized, false);
    assert.equal(storage.open(() => ++called), true);
    await once(storage, 'opened');
    assert.equal(storage.initialized, true);
    assert.equal(called, 1);
    storage.close();
    storage.open(() => ++called);
    assert.equal(called, 2);
    assert.ok(fs.existsSync(path.join(dataDirectory, 'st.lock')));
});

test('ranges', t => {
    const storage = filled(t, 30);
    const read = (...range) => numbers(storage.readRange(...range));
    assert.deepEqual(read(1), count(1, 30));
    assert.deepEqual(read(-3), [28, 29, 30]);
    assert.deepEqual(read(5, 3), [5, 4, 3]);
    assert.deepEqual(read(1, 1), [1]);
    assert.deepEqual(read(1, -1, false), count(1, 30));
    assert.deepEqual(read(4, 7, false), [4, 5, 6, 7].slice(0, 4));
    for (const [from, to] of [[0, 1], [1, 31], [31, 31]])
        assert.throws(() => read(from, to), new RegExp(`^Error: Range scan error for range ${from} - ${to}\\.$`));
    const [raw] = storage.readRange(7, 7, null, true);
    assert.equal(String(raw.buffer), JSON.stringify({ n: 7, kind: 'b' }));
    assert.equal(raw.sequenceNumber, 6);
    assert.ok(Math.abs(raw.time64 / 1000 - Date.now()) < 60000);
    const documents = [];
    storage.forEachDocument(({ n }, { number }) => documents.push([n, number]), true);
    assert.deepEqual(documents, count(1, 30).map(n => [n, n]));
});

test('partitions have the names that the partitioner gives, and their metadata', async t => {
    const created = [];
    const storage = storageFor(t, { partitioner: byKind, metadata: name => ({ name }) });
    storage.on('partition-created', id => created.push(id));
    for (const kind of ['a', 'a', 'deep/c', undefined]) storage.write({ kind });
    assert.deepEqual(created, ['st.a', 'st.deep/c', 'st'].map(Partition.idFor));
    assert.deepEqual(['a', 'deep/c', ''].map(name => storage.getPartition(name).metadata.name), ['a', 'deep/c', '']);
    assert.deepEqual(Object.keys(storage.partitions).length, 3);
    for (const name of ['st.a', 'st.deep/c', 'st']) assert.ok(fs.existsSync(path.join(storage.dataDirectory, name)), name);
    assert.throws(() => storage.getPartition(4711), /^Error: Partition #4711 does not exist\.$/);
    for (const kind of ['../out', 'x/../../../out']) assert.throws(() => storage.write({ kind }), /Invalid partition name/);
    assert.equal(storage.length, 4);
});

test('indexes take what their matchers say: what is there, and what comes', async t => {
    const storage = filled(t, 9);
    const told = [];
    storage.on('index-created', name => told.push(name));
    storage.on('index-add', (name, place, { n }) => told.push([name, place, n]));
    const object = storage.ensureIndex('object', { kind: 'b' });
    const some = storage.ensureIndex('some', { kind: ['a', 'b'] });
    const even = storage.ensureIndex('even', ({ n }) => n % 2 === 0);
    const later = storage.ensureIndex('later', { kind: 'a' }, false);
    assert.equal(storage.ensureIndex('object', { kind: 'b' }), object);
    assert.deepEqual([object, some, even, later].map(index => index.length), [3, 6, 4, 0]);
    assert.deepEqual(numbers(storage.readRange(1, -1, object)), [1, 4, 7]);
    assert.deepEqual(numbers(storage.readRange(-1, 1, even)), [8, 6, 4, 2]);
    assert.deepEqual(storage.read(2, object), { n: 4, kind: 'b' });
    storage.write({ n: 10, kind: 'b' });
    assert.deepEqual(told, ['object', 'some', 'even', 'later', ['object', 4, 10], ['some', 7, 10], ['even', 5, 10]]);
    assert.equal(storage.ensureIndex('_all'), storage.index);
    assert.throws(() => storage.ensureIndex('none'), /^Error: Need to specify a matcher\.$/);
    assert.throws(() => storage.openIndex('none'), /^Error: Index "none" does not exist\.$/);
    assert.throws(() => storage.ensureIndex('broken', () => { throw new Error('broken'); }), /broken/);
    assert.equal(fs.existsSync(path.join(storage.indexDirectory, 'st.broken.index')), false);
    storage.removeSecondaryIndex('even');
    storage.write({ n: 12, kind: 'x' });
    assert.equal(even.length, 5);
});

test('functions are stored as signed text, and nothing is deleted where it does not hold', async t => {
    const matcher = document => document.n > 5;
    const storage = filled(t, 9, { hmacSecret: 'secret' });
    storage.ensureIndex('large', matcher);
    const { dataDirectory } = storage;
    storage.close();
    const wrong = storageFor(t, { dataDirectory, hmacSecret: 'other' });
    assert.throws(() => wrong.openIndex('large'), /^Error: Invalid HMAC for matcher\.$/);
    assert.ok(fs.existsSync(path.join(dataDirectory, 'st.large.index')));
    wrong.close();
    const again = opened(t, { dataDirectory, hmacSecret: 'secret', partitioner: byKind });
    assert.throws(() => again.openIndex('large', ({ n }) => n > 6), /^Error: Index metadata mismatch! {"entryClass":"Entry","entrySize":16,"matcher":"document => document\.n > 5"/);
    assert.equal(again.openIndex('large').length, 4);
    again.write({ n: 10, kind: 'a' });
    assert.equal(again.openIndex('large', matcher).length, 5);
});

test('a hook that throws, or a matcher that does, and nothing is written', t => {
    const storage = filled(t, 3, { metadata: { owner: 'ann' } });
    const seen = [];
    storage.preCommit((document, { owner }) => {
        seen.push([document.n, owner]);
        if (document.n === 13) throw new Error('not thirteen');
    });
    storage.ensureIndex('nested', document => document.inner.value === 1, false);
    assert.throws(() => storage.write({ n: 13, kind: 'a', inner: {} }), /not thirteen/);
    assert.throws(() => storage.write({ n: 4, kind: 'a' }), TypeError);
    assert.deepEqual(seen, [[13, 'ann'], [4, 'ann']]);
    assert.equal(storage.length, 3);
    assert.equal([...storage.getPartition('a').readAll()].length, 1);
    storage.write({ n: 4, kind: 'a', inner: { value: 1 } });
    assert.equal(storage.length, 4);
    storage.preRead((position, { owner }) => { if (position === 0 && owner === 'ann') throw new Error('not the first'); });
    assert.throws(() => storage.read(1), /not the first/);
    assert.equal(storage.read(4).n, 4);
});

test('a serializer of one’s own', t => {
    const serializer = { serialize: ({ n }) => `<${n}>`, deserialize: text => ({ n: Number(text.slice(1, -1)) }) };
    const storage = opened(t, { serializer });
    storage.write({ n: 5 });
    assert.deepEqual(storage.read(1), { n: 5 });
    assert.equal(String(storage.getPartition('').readFrom(0)), '<5>');
});

test('one writer at a time', t => {
    const storage = opened(t);
    const { dataDirectory } = storage;
    assert.throws(() => new Storage('st', { dataDirectory }).open(), error =>
        error instanceof StorageLockedError && error.message === 'Storage st is locked by another process');
    // It is alive: it keeps its lock.
    assert.throws(() => new Storage('st', { dataDirectory, lock: LOCK_RECLAIM }).open(), StorageLockedError);
    assert.equal(storage.lock(), false);
    storage.close();
    fs.mkdirSync(path.join(dataDirectory, 'st.lock'));
    const second = storageFor(t, { dataDirectory, lock: LOCK_THROW });
    assert.throws(() => second.open(), StorageLockedError);
    second.close();
    const third = storageFor(t, { dataDirectory, lock: LOCK_RECLAIM });
    assert.equal(third.open(), true);
    assert.ok(fs.existsSync(path.join(dataDirectory, 'st.lock')));
    third.close();
    assert.equal(fs.existsSync(path.join(dataDirectory, 'st.lock')), false);
});

test('truncating cuts partitions and indexes, and keeps what was cut', t => {
    const storage = filled(t, 30);
    const index = storage.ensureIndex('b', { kind: 'b' });
    storage.truncate(100);
    assert.equal(storage.length, 30);
    storage.truncate(20);
    assert.equal(storage.length, 20);
    assert.deepEqual(numbers(storage.readRange(1)), count(1, 20));
    assert.equal(index.length, 7);
    storage.truncate(-10);
    assert.equal(storage.length, 10);
    storage.write({ n: 11, kind: 'b' });
    assert.deepEqual(numbers(storage.readRange(1)), count(1, 11));
    assert.deepEqual(numbers(storage.readRange(1, -1, false)), count(1, 11));
    assert.equal(index.length, 5);
    assert.equal(fs.readdirSync(storage.dataDirectory, { recursive: true }).filter(name => name.endsWith('.branch')).length, 6);
    storage.truncate(0);
    assert.equal(storage.length, 0);
    storage.write({ n: 1, kind: 'a' });
    assert.deepEqual(numbers(storage.readRange(1, -1, false)), [1]);
});

test('indexes are made anew from the documents', t => {
    const storage = filled(t, 30);
    const index = storage.ensureIndex('b', { kind: 'b' });
    for (const from of [0, 17]) {
        storage.reindex(from);
        assert.deepEqual(numbers(storage.readRange(1)), count(1, 30));
        assert.deepEqual(numbers(storage.readRange(1, -1, index)), count(1, 30).filter(n => n % 3 === 1));
    }
});

test('few files open at once lose nothing', t => {
    const partitioner = ({ n }) => `p${n % 20}`;
    const storage = opened(t, { partitioner, maxOpenPartitions: 3, maxOpenIndexes: 4 });
    for (let n = 0; n < 10; ++n) storage.ensureIndex(`i${n}`, { rest: n });
    for (let n = 1; n <= 200; ++n) storage.write({ n, rest: n % 10 });
    assert.equal(storage.partitionHandlePool.size, 3);
    const { dataDirectory } = storage;
    storage.close();
    const again = opened(t, { dataDirectory, partitioner, maxOpenPartitions: 3, maxOpenIndexes: 4 });
    assert.deepEqual(numbers(again.readRange(1)), count(1, 200));
    for (let n = 0; n < 10; ++n) assert.equal(again.openIndex(`i${n}`).length, 20);
});

test('what one of both writes, the other reads', async t => {
    const dataDirectory = directoryFor(t);
    const config = { dataDirectory, indexDirectory: path.join(dataDirectory, 'streams'), partitioner: byKind };
    const { indexDirectory } = config;
    let total = 0;
    const write = (storage, matcher) => {
        storage.open();
        const index = storage.ensureIndex('b', matcher);
        for (let n = 0; n < 100; ++n) storage.write({ n: ++total, kind: ['a', 'b'][total % 2], text: 'é'.repeat(n % 7) });
        assert.equal(storage.length, total);
        assert.equal(index.length, total / 2);
        storage.close();
    };
    for (let round = 0; round < 3; ++round) {
        write(new Storage('st', config), { kind: 'b' });
        write(new Original.Storage('st', config), { kind: 'b' });
    }
    const storage = opened(t, config);
    assert.deepEqual(numbers(storage.readRange(1)), count(1, 600));
    assert.deepEqual(numbers(storage.readRange(1, -1, storage.openIndex('b'))), count(1, 600).filter(n => n % 2 === 1));
    storage.close();
    const theirs = new Original.Storage('st', config);
    theirs.open();
    assert.deepEqual(numbers(theirs.readRange(1)), count(1, 600));
    theirs.close();
    assert.ok(fs.existsSync(path.join(indexDirectory, 'st.b.index')));
});

test('a writer that was killed: its lock is reclaimed, and files agree again', t => {
    const dataDirectory = directoryFor(t);
    const script = `import { Storage } from 'varve';
        const storage = new Storage('st', { dataDirectory: ${JSON.stringify(dataDirectory)}, partitioner: ({ kind }) => kind });
        storage.open();
        storage.ensureIndex('even', ({ n }) => n % 2 === 0);
        storage.ensureIndex('b', { kind: 'b' });
        for (let n = 1; n <= 50; ++n) storage.write({ n, kind: ['a', 'b'][n % 2] });
        storage.flush();
        for (let n = 51; n <= 60; ++n) storage.write({ n, kind: ['a', 'b'][n % 2] });
        // Partitions are written, indexes are not: as it is a moment after every write.
        storage.forEachPartition(partition => partition.flush());
        process.kill(process.pid, 'SIGKILL');`;
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', cwd: import.meta.dirname });
    assert.equal(done.signal, 'SIGKILL', done.stderr);
    // And a document that was not written to its end.
    fs.appendFileSync(path.join(dataDirectory, 'st.a'), Buffer.from('000000100000003c40000000000000007b226e', 'hex'));
    assert.throws(() => storageFor(t, { dataDirectory }).open(), StorageLockedError);
    const storage = storageFor(t, { dataDirectory, partitioner: byKind, lock: LOCK_RECLAIM });
    storage.open();
    assert.equal(storage.length, 60);
    assert.deepEqual(numbers(storage.readRange(1)), count(1, 60));
    assert.deepEqual(numbers(storage.readRange(1, -1, storage.openIndex('b'))), count(1, 60).filter(n => n % 2 === 1));
    storage.write({ n: 61, kind: 'a' });
    assert.deepEqual(numbers(storage.readRange(1, -1, false)), count(1, 61));
});

test('a torn document is noticed before the next one is written, also without reclaiming', t => {
    const storage = filled(t, 9);
    const { dataDirectory } = storage;
    storage.close();
    fs.appendFileSync(path.join(dataDirectory, 'st.a'), Buffer.from('0000001000000009', 'hex'));
    const again = opened(t, { dataDirectory, partitioner: byKind });
    again.write({ n: 10, kind: 'b' });
    again.write({ n: 11, kind: 'a' });
    assert.deepEqual(numbers(again.readRange(1)), count(1, 11));
    assert.equal(fs.readdirSync(dataDirectory).filter(name => name.endsWith('.branch')).length, 1);
});

test('a reader follows what a writer does', async t => {
    const writer = filled(t, 6);
    writer.ensureIndex('b', { kind: 'b' });
    writer.flush();
    const { dataDirectory } = writer;
    const reader = new Storage.ReadOnly('st', { dataDirectory });
    t.after(() => reader.close());
    const told = [];
    reader.on('wrote', ({ n }, { number }, place) => told.push(['wrote', n, number, place]));
    reader.on('index-add', (name, place, { n }) => told.push([name, n, place]));
    reader.on('index-created', name => told.push(name));
    reader.on('truncate', (before, after) => told.push([before, after]));
    reader.open();
    await once(reader, 'opened');
    assert.deepEqual(told.splice(0), ['b']);
    assert.equal(reader.write, undefined);
    const index = reader.openIndex('b');
    assert.deepEqual(numbers(reader.readRange(1)), count(1, 6));
    writer.write({ n: 7, kind: 'b' });
    writer.write({ n: 8, kind: 'new' });
    writer.flush();
    await until(() => told.length === 3);
    assert.deepEqual(told.splice(0).sort(), [['b', 7, 3], ['wrote', 7, 7, 7], ['wrote', 8, 8, 8]].sort());
    assert.equal(index.length, 3);
    assert.equal(reader.length, 8);
    writer.ensureIndex('late', { kind: 'new' });
    await until(() => told.length === 1);
    assert.deepEqual(told.splice(0), ['late']);
    writer.flush();
    assert.equal(reader.openIndex('late').length, 1);
    writer.truncate(4);
    await until(() => told.length >= 1);
    assert.deepEqual(told, [[8, 4]]);
    assert.deepEqual(numbers(reader.readRange(1)), count(1, 4));
    assert.throws(() => new Storage.ReadOnly('none', { dataDirectory }), error => error.code === 'ENOENT');
});

test('another storage whose name begins the same is left alone', t => {
    const dataDirectory = directoryFor(t);
    const other = new Storage('st2', { dataDirectory });
    other.open();
    other.write({ n: 100 });
    other.close();
    const storage = opened(t, { dataDirectory });
    storage.write({ n: 1 });
    assert.deepEqual(numbers(storage.readRange(1, -1, false)), [1]);
    assert.equal(Object.keys(storage.partitions).length, 1);
});

test('indexes of closed streams are read only', t => {
    const storage = filled(t, 9);
    storage.ensureIndex('stream-b', { kind: 'b' });
    const { dataDirectory } = storage;
    storage.close();
    fs.renameSync(path.join(dataDirectory, 'st.stream-b.index'), path.join(dataDirectory, 'st.stream-b.closed.index'));
    const again = opened(t, { dataDirectory, partitioner: byKind });
    const index = again.openReadonlyIndex('stream-b.closed');
    assert.ok(index instanceof Index.ReadOnly);
    again.write({ n: 10, kind: 'b' });
    assert.equal(index.length, 3);
    assert.equal(again.openReadonlyIndex('stream-b.closed'), index);
});

const fixtures = process.env.VARVE_NES_FIXTURES;
const skip = fixtures && fs.existsSync(fixtures) ? false : 'needs VARVE_NES_FIXTURES, the directory with storages that event-storage 1.4 has written';

function unpack(t, name) {
    const directory = directoryFor(t);
    spawnSync('tar', ['--zstd', '-xf', path.join(fixtures, `${name}.tar.zst`), '-C', directory]);
    const { stdout } = spawnSync('zstd', ['-dqc', path.join(fixtures, `${name}.expected.ndjson.zst`)], { encoding: 'utf8', maxBuffer: 1 << 28 });
    return { directory, expected: stdout.trim().split('\n').map(line => JSON.parse(line)) };
}

function rootOf(directory, name) {
    const [file] = fs.readdirSync(directory, { recursive: true }).filter(one => path.basename(one) === name);
    return path.dirname(path.join(directory, file));
}

test('a store of event-storage 1.4: every document, and a writer goes on', { skip }, t => {
    const { directory, expected } = unpack(t, 'nes-1.4');
    const indexDirectory = rootOf(directory, 'git.index');
    const config = { dataDirectory: path.dirname(indexDirectory), indexDirectory, partitioner: ({ stream }) => stream, hmacSecret: 'fixture-secret' };
    const reader = new Storage.ReadOnly('git', config);
    const documents = [...reader.readRange(1)];
    assert.deepEqual(documents.map(({ stream, payload }) => [stream, payload]), expected.map(({ stream, payload }) => [stream, payload]));
    reader.close();
    const storage = new Storage('git', config);
    t.after(() => storage.close());
    storage.open();
    const index = storage.openIndex('stream-by-function');
    const before = index.length;
    assert.ok(before > 0);
    const again = storage.read(1, index);
    storage.write(again);
    assert.equal(index.length, before + 1);
    assert.equal(storage.length, expected.length + 1);
});

test('a storage of the mapped classes: every document', { skip }, t => {
    const { directory, expected } = unpack(t, 'nes-mmap');
    const indexDirectory = rootOf(directory, 'git.index');
    const reader = new Storage.ReadOnly('git', { dataDirectory: path.dirname(indexDirectory), indexDirectory });
    t.after(() => reader.close());
    assert.equal(reader.length, expected.length);
    assert.deepEqual([...reader.readRange(1)], expected.map(({ document }) => document));
});

test('looking into indexes writes nothing ahead of the data', t => {
    const storage = filled(t, 9);
    const size = () => fs.statSync(path.join(storage.dataDirectory, 'st.index')).size;
    const before = size();
    assert.equal(storage.index.range(2, 5).length, 4);
    assert.equal(storage.index.all().length, 9);
    assert.equal(size(), before);
    storage.flush();
    assert.equal(size(), before + 9 * 16);
    assert.deepEqual(storage.index.all().map(({ number }) => number), count(1, 9));
});
