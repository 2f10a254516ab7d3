// Goal: Index and Partition read and write the files of event-storage, and say what it says. Method: files with known bytes, the same
// calls on the classes of event-storage from npm, and a second process that writes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { once } from 'node:events';
import { test } from 'node:test';
import EventStore, { Index, Partition } from 'varve';
import { directoryFor, turn, until } from './support.js';

const Original = createRequire(import.meta.url)('event-storage');
const { Entry } = Index;

function indexFor(t, options = {}) {
    const index = new Index('a.index', { dataDirectory: directoryFor(t), ...options });
    t.after(() => index.close());
    return index;
}

function filled(t, count, options) {
    const index = indexFor(t, options);
    for (let n = 1; n <= count; ++n) index.add(new Entry(2 * n, 10 * n, n, 7));
    return index;
}

test('an index has what was added to it', t => {
    const index = filled(t, 50);
    assert.equal(index.name, 'a.index');
    assert.equal(index.length, 50);
    assert.deepEqual([...index.get(3)], [6, 30, 3, 7]);
    const entry = index.get(-1);
    assert.ok(entry instanceof Entry);
    assert.deepEqual([entry.number, entry.position, entry.size, entry.partition], [100, 500, 50, 7]);
    assert.deepEqual([...index.lastEntry], [...entry]);
    for (const place of [0, 51, -51, 1.5]) assert.equal(index.get(place), false);
    assert.deepEqual(index.range(2, 4).map(({ number }) => number), [4, 6, 8]);
    assert.deepEqual(index.range(-2).map(({ number }) => number), [98, 100]);
    for (const [from, to] of [[4, 2], [0, 3], [1, 51]]) assert.equal(index.range(from, to), false);
    assert.equal(index.all().length, 50);
    assert.deepEqual([index.validRange(1, 50), index.validRange(1, 51), index.validRange(3, 2)], [true, false, false]);
});

test('an index is searched by number', t => {
    const index = filled(t, 50);
    assert.deepEqual([1, 2, 3, 7, 100, 1000].map(number => index.find(number)), [0, 1, 1, 3, 50, 50]);
    assert.deepEqual([0, 1, 2, 3, 7, 100, 101].map(number => index.find(number, true)), [1, 1, 1, 2, 4, 50, 0]);
    assert.equal(indexFor(t).find(5), 0);
});

test('an index is truncated, flushed, closed, and opened again', async t => {
    const index = filled(t, 20);
    const places = [];
    index.add(new Entry(41, 0, 1, 1), place => places.push(place));
    assert.deepEqual(places, []);
    assert.equal(index.flush(), true);
    assert.deepEqual(places, [21]);
    assert.equal(index.flush(), false);
    index.truncate(5);
    index.truncate(6);
    assert.equal(index.length, 5);
    index.close();
    assert.equal(index.length, 0);
    assert.equal(index.isOpen(), false);
    assert.equal(index.open(), true);
    assert.equal(index.open(), false);
    assert.deepEqual(index.all().map(({ number }) => number), [2, 4, 6, 8, 10]);
    index.add(new Entry(60, 0, 1, 1), place => places.push(place));
    await until(() => places.length === 2);  // by its timer
    assert.deepEqual(places, [21, 6]);
    const { fileName } = index;
    index.destroy();
    assert.equal(fs.existsSync(fileName), false);
});

test('a full buffer of an index is flushed', t => {
    const index = indexFor(t, { writeBufferSize: 64, flushDelay: 60000 });
    let flushed = 0;
    for (let n = 1; n <= 9; ++n) index.add(new Entry(n, 0, 1, 1), () => ++flushed);
    assert.equal(flushed, 8);
    assert.equal(fs.statSync(index.fileName).size, 64 + 8 * 16);
});

test('the messages of an index are those of event-storage', t => {
    const index = filled(t, 2);
    const { dataDirectory, fileName } = index;
    assert.throws(() => index.add({}), /^Error: Wrong entry object\. Expected "Entry" but got "Object"\.$/);
    assert.throws(() => index.add(new Entry(4, 0, 1, 1)), /^Error: Consistency error\. Tried to add an index that should come before existing last entry\.$/);
    assert.throws(() => new Index('x.index', { dataDirectory, EntryClass: class {} }), /Invalid index entry class\. Must implement EntryInterface methods\./);
    class Empty extends Entry { static get size() { return 0; } }
    assert.throws(() => new Index('x.index', { dataDirectory, EntryClass: Empty }), /Entry class size must be positive\./);
    index.close();
    const expect = (bytes, message) => {
        fs.writeFileSync(fileName, bytes);
        assert.throws(() => new Index('a.index', { dataDirectory }), message);
    };
    const bytes = fs.readFileSync(fileName);
    const changed = (at, text) => {
        const copy = Buffer.from(bytes);
        copy.write(text, at, 'latin1');
        return copy;
    };
    expect(changed(0, 'other'), /^Error: Invalid file header\.$/);
    expect(changed(6, '02'), /^Error: Invalid file version\. The index .*a\.index was created with a different library version \(02\)\.$/);
    expect(changed(8, '\0\0\0\0'), /^Error: Invalid metadata size\.$/);
    expect(changed(12, 'xx'), /^Error: Invalid metadata\.$/);
    assert.throws(() => new Index.ReadOnly('none.index', { dataDirectory }), error => error.code === 'ENOENT');
    fs.writeFileSync(fileName, '');
    assert.throws(() => new Index.ReadOnly('a.index', { dataDirectory }), /Index file was truncated to empty!/);
    fs.mkdirSync(path.join(dataDirectory, 'dir.index'));
    assert.throws(() => new Index('dir.index', { dataDirectory }), /Invalid index file!/);
});

test('metadata of an index are compared as text', t => {
    const index = indexFor(t, { metadata: { matcher: { a: 1, b: 2 } } });
    const { dataDirectory } = index;
    index.close();
    assert.deepEqual(index.metadata, { entryClass: 'Entry', entrySize: 16, matcher: { a: 1, b: 2 } });
    assert.throws(() => new Index('a.index', { dataDirectory, metadata: { matcher: { b: 2, a: 1 } } }),
        /^Error: Index metadata mismatch! {"entryClass":"Entry","entrySize":16,"matcher":{"a":1,"b":2}}$/);
    const again = new Index('a.index', { dataDirectory });
    assert.deepEqual(again.metadata.matcher, { a: 1, b: 2 });
    again.close();
});

test('entries of a class of one’s own', t => {
    class Pair extends Entry {
        static fromBuffer(buffer, offset) {
            return Object.assign(new Pair(buffer.readUInt32LE(offset), buffer.readUInt32LE(offset + 4)), { own: true });
        }
    }
    const index = indexFor(t, { EntryClass: Pair });
    index.add(new Pair(1, 2));
    assert.equal(index.get(1).own, true);
    assert.deepEqual(index.metadata, { entryClass: 'Pair', entrySize: 16 });
    assert.throws(() => index.add(new Entry(2, 3)), /Expected "Pair" but got "Entry"/);
});

test('what one of both writes, the other reads: indexes', t => {
    const index = filled(t, 700);
    index.close();
    const { dataDirectory } = index;
    const theirs = new Original.Index('a.index', { dataDirectory });
    assert.equal(theirs.length, 700);
    assert.deepEqual(theirs.all().map(entry => [...entry]), Array.from({ length: 700 }, (_, n) => [2 * n + 2, 10 * n + 10, n + 1, 7]));
    theirs.add(new Original.Index.Entry(9999, 1, 2, 3));
    theirs.close();
    index.open();
    assert.deepEqual([...index.lastEntry], [9999, 1, 2, 3]);
});

test('a reading index is told what is appended and cut off', async t => {
    const index = filled(t, 3);
    index.flush();
    const reader = new Index.ReadOnly('a.index', { dataDirectory: index.dataDirectory });
    t.after(() => reader.close());
    assert.equal(reader.length, 3);
    assert.equal(reader.add, undefined);
    const told = [];
    for (const event of ['append', 'truncate']) reader.on(event, (before, after) => told.push([event, before, after]));
    index.add(new Entry(50, 1, 1, 1));
    index.add(new Entry(51, 1, 1, 1));
    index.flush();
    await until(() => told.length > 0);
    assert.deepEqual(told, [['append', 3, 5]]);
    assert.equal(reader.get(-1).number, 51);
    index.truncate(1);
    await until(() => told.length > 1);
    assert.deepEqual(told[1], ['truncate', 5, 1]);
    assert.equal(reader.length, 1);
});

// ---- Partitions

function partitionFor(t, options = {}) {
    const partition = new Partition('s.p', { dataDirectory: directoryFor(t), ...options });
    partition.open();
    t.after(() => partition.close());
    return partition;
}

const texts = (...buffers) => buffers.flat().map(String);

test('a partition has what was written to it', t => {
    const partition = partitionFor(t);
    assert.equal(partition.open(), true);
    assert.equal(partition.id, Partition.idFor('s.p'));
    const positions = ['foo', 'é😀', Buffer.from('a longer document')].map((document, n) => partition.write(document, n));
    assert.deepEqual(positions, [0, 28, 60]);
    assert.equal(partition.size, 104);
    const header = {};
    assert.equal(String(partition.readFrom(28, 6, header)), 'é😀');
    assert.deepEqual([header.dataSize, header.sequenceNumber], [6, 1]);
    assert.ok(Math.abs(header.time64 / 1000 - Date.now()) < 60000);
    assert.equal(partition.readFrom(104), false);
    assert.equal(partition.readFrom(1000), false);
    assert.deepEqual(texts([...partition.readAll()]), ['foo', 'é😀', 'a longer document']);
    assert.deepEqual(texts([...partition.readAll(28)]), ['é😀', 'a longer document']);
    assert.deepEqual(texts([...partition.readAllBackwards()]), ['a longer document', 'é😀', 'foo']);
    assert.deepEqual(texts([...partition.readAllBackwards(60)]), ['é😀', 'foo']);
    assert.equal(partition.findDocumentPositionBefore(60), 28);
    assert.equal(partition.readLast().position, 60);
    assert.equal(partition.readLast().header.sequenceNumber, 2);
});

test('documents of a partition are found by their numbers', t => {
    const partition = partitionFor(t);
    assert.equal(partition.readLast(), null);
    for (let n = 0; n < 100; ++n) partition.write(`document ${3 * n}`, 3 * n);
    assert.equal(partition.findDocument(3).header.sequenceNumber, 3);
    assert.equal(partition.findDocument(4).header.sequenceNumber, 6);
    assert.equal(partition.findDocument(4, false).header.sequenceNumber, 3);
    assert.equal(partition.findDocument(298), null);
    assert.equal(partition.findDocument(1000, false).header.sequenceNumber, 297);
    const read = (from, to) => [...partition.readRange(from, to)].map(item => item.header).length;
    const numbers = (from, to) => {
        const found = [];
        for (const { data, header, entry } of partition.readRange(from, to)) found.push([String(data), header.sequenceNumber, entry.number]);
        return found;
    };
    assert.equal(read(0, 1000), 100);
    assert.deepEqual(numbers(4, 10), [['document 6', 6, 7], ['document 9', 9, 10]]);
    assert.deepEqual(numbers(10, 4), [['document 9', 9, 10], ['document 6', 6, 7]]);
    assert.deepEqual(numbers(1000, 2000), []);
});

test('a partition calls back when it is flushed: in the next turn, when it is full, when it has so many documents', async t => {
    const told = [];
    const partition = partitionFor(t);
    partition.write('foo', 0, () => told.push(1));
    assert.deepEqual(told, []);
    await turn();
    assert.deepEqual(told, [1]);
    assert.equal(partition.flush(), false);
    const small = partitionFor(t, { writeBufferSize: 64 });
    for (let n = 0; n < 4; ++n) small.write('foo', n, () => told.push(n));
    assert.deepEqual(told, [1, 0, 1]);
    const counted = partitionFor(t, { maxWriteBufferDocuments: 3 });
    for (let n = 0; n < 4; ++n) counted.write('foo', n, () => told.push(10 + n));
    assert.deepEqual(told, [1, 0, 1, 10, 11, 12]);
    small.close();
    counted.close();
    assert.deepEqual(told, [1, 0, 1, 10, 11, 12, 2, 3, 13]);
});

test('without dirty reads what is not flushed is not there', async t => {
    const partition = partitionFor(t, { dirtyReads: false });
    partition.write('foo', 0);
    assert.equal(partition.readFrom(0), false);
    assert.deepEqual([...partition.readAll()], []);
    assert.equal(partition.readLast(), null);
    partition.flush();
    assert.equal(String(partition.readFrom(0)), 'foo');
});

test('the messages of a partition are those of event-storage', t => {
    assert.throws(() => new Partition(), /^Error: Must specify a partition name\.$/);
    const dataDirectory = directoryFor(t);
    const closed = new Partition('s.q', { dataDirectory });
    assert.throws(() => closed.readFrom(0), /^Error: Partition is not opened\.$/);
    assert.throws(() => closed.write('foo'), /^Error: Partition is not opened\.$/);
    assert.throws(() => new Partition('s.q', { dataDirectory, clock: class {} }), /Clock needs to implement the method time\(\)/);
    const partition = partitionFor(t);
    partition.write('foo', 0);
    partition.write('bar', 1);
    assert.throws(() => partition.readFrom(2), /^Error: Invalid read position 2\. Needs to be a multiple of 4\.$/);
    assert.throws(() => partition.readFrom(0, 5), error => error instanceof Partition.InvalidDataSizeError &&
        error.message === 'Invalid document size 3 at position 0, expected 5.');
    assert.throws(() => partition.truncate(4), /^Error: Can only truncate on valid document boundaries\.$/);
    assert.throws(() => partition.write(Buffer.alloc(64 * 1024 * 1024 + 1)), /Document is too large! Maximum is 64 MB/);
    partition.close();
    const { fileName } = partition;
    const bytes = fs.readFileSync(fileName);
    const open = (change, message) => {
        const copy = Buffer.from(bytes);
        fs.writeFileSync(fileName, change(copy) ?? copy);
        assert.throws(() => partition.open(), message);
    };
    open(copy => void copy.write('other'), /^Error: Invalid file header in partition s\.p\.$/);
    open(copy => void copy.write('02', 6), /^Error: Invalid file version\. The partition s\.p was created with a different library version \(02\)\.$/);
    open(copy => void copy.writeUInt32BE(5000, 8), /^Error: Invalid metadata size\.$/);
    open(copy => copy.subarray(0, 10), /^Error: Invalid file\.$/);
    const headerSize = 12 + bytes.readUInt32BE(8);
    fs.writeFileSync(fileName, bytes.subarray(0, bytes.length - 6));
    const reader = new Partition.ReadOnly('s.p', { dataDirectory: partition.dataDirectory });
    t.after(() => reader.close());
    assert.equal(reader.open(), true);
    assert.throws(() => reader.readFrom(28), error => error instanceof Partition.CorruptFileError &&
        error.message === 'Invalid document at position 28. This may be caused by an unfinished write.');
    const zeroed = Buffer.from(bytes);
    zeroed.fill(0, headerSize, headerSize + 4);
    fs.writeFileSync(fileName, zeroed);
    partition.open();
    assert.throws(() => partition.readFrom(0), /^CorruptFileError: Error reading document size from 0, got 0\.$/);
});

test('a partition is cut off, and what was cut off is kept', t => {
    const partition = partitionFor(t);
    const told = [];
    partition.on('truncated', position => told.push(position));
    for (let n = 0; n < 5; ++n) partition.write(`document ${n}`, n);
    partition.truncateAfterSequence(2);
    assert.deepEqual(texts([...partition.readAll()]), ['document 0', 'document 1', 'document 2']);
    const { position } = partition.readLast();
    partition.truncate(position);
    assert.equal([...partition.readAll()].length, 2);
    partition.truncate(10000);
    assert.deepEqual(told, [3 * 36, position]);
    const branches = fs.readdirSync(partition.dataDirectory).filter(name => name.endsWith('.branch')).sort();
    assert.equal(branches.length, 2);
    for (const name of branches) assert.match(name, /^s\.p-truncated-\d+-\d+\.branch$/);
    const branch = new Partition.ReadOnly(branches.find(name => name.endsWith('-108.branch')), { dataDirectory: partition.dataDirectory });
    branch.open();
    assert.deepEqual(texts([...branch.readAll()]), ['document 3', 'document 4']);
    branch.close();
});

test('what one of both writes, the other reads: partitions', t => {
    const OriginalPartition = createRequire(import.meta.url)(path.join(path.dirname(createRequire(import.meta.url).resolve('event-storage')), 'src/Partition.js'));
    const epoch = 1700000000000;
    const partition = partitionFor(t, { metadata: { epoch, owner: 'ann' } });
    assert.deepEqual(partition.metadata, { epoch, owner: 'ann' });
    const documents = Array.from({ length: 300 }, (_, n) => `{"n":${n},"text":"${'é'.repeat(n % 50)}"}`);
    documents.forEach((document, n) => partition.write(document, n));
    partition.close();
    const theirs = new OriginalPartition('s.p', { dataDirectory: partition.dataDirectory });
    theirs.open();
    assert.deepEqual(theirs.metadata, { epoch, owner: 'ann' });
    assert.deepEqual([...theirs.readAll()], documents);
    theirs.write('one more', 300);
    theirs.close();
    partition.open();
    assert.equal(String(partition.readFrom(partition.readLast().position)), 'one more');
    assert.equal(fs.readFileSync(partition.fileName).toString('latin1', 0, 8), 'nesprt03');
});

test('a clock of one’s own', t => {
    class Clock {
        constructor(epoch) {
            this.epoch = epoch;
            this.now = 1000;
        }

        time() {
            return this.now += 5;
        }
    }
    const partition = partitionFor(t, { clock: Clock, metadata: { epoch: 1600000000000 } });
    partition.write('foo', 0);
    partition.write('foo', 1);
    const times = [0, 28].map(position => {
        const header = {};
        partition.readFrom(position, 0, header);
        return header.time64 - 1600000000000 * 1000;
    });
    assert.deepEqual(times, [1005, 1010]);
});

test('a reading partition is told what is appended and cut off; an empty file is none yet', async t => {
    const partition = partitionFor(t);
    const { dataDirectory } = partition;
    fs.writeFileSync(path.join(dataDirectory, 's.empty'), '');
    const empty = new Partition.ReadOnly('s.empty', { dataDirectory });
    assert.equal(empty.open(), false);
    const reader = new Partition.ReadOnly('s.p', { dataDirectory });
    reader.open();
    t.after(() => reader.close());
    const appended = once(reader, 'append');
    partition.write('foo', 0);
    assert.deepEqual(await appended, [0, 28]);
    assert.equal(String(reader.readFrom(0)), 'foo');
    const cut = once(reader, 'truncate');
    partition.truncate(0);
    assert.deepEqual(await cut, [28, 0]);
});

test('files of the mapped layout', t => {
    const index = filled(t, 300, { layout: 'mapped' });
    index.close();
    assert.equal(fs.statSync(index.fileName).size % 4096, 0);
    index.open();
    assert.equal(index.length, 300);
    const partition = partitionFor(t, { layout: 'mapped' });
    partition.write('foo', 0);
    partition.close();
    const reader = new Partition.ReadOnly('s.p', { dataDirectory: partition.dataDirectory });
    reader.open();
    assert.deepEqual(texts([...reader.readAll()]), ['foo']);
    reader.close();
});

test('the classes are also properties of EventStore', () => {
    assert.equal(EventStore.Index, Index);
    assert.equal(typeof Index.ReadOnly, 'function');
    assert.equal(Index.ReadOnly.Entry, Entry);
});
