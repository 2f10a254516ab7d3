// Index: a file that lists documents of a storage of node-event-storage, in the order of their numbers.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Pending, checkHeader } from './lowFile.js';
import { watchFile } from './lowWatch.js';
import { NesIndex } from './native.js';

const MAGIC = 'nesidx01';
const ENTRY = 16;  // bytes
const WORDS = 4;

/** What entries of an index have to be able to do; a class of one's own has the same 16 bytes, the number first. */
export class EntryInterface {
    static get size() {
        return ENTRY;
    }

    static fromBuffer() {}
    toBuffer() {}
}

/** One entry: number of the document, position and size in its partition, and the partition's id. */
export class Entry extends Array {
    constructor(number, position, size = 0, partition = 0) {
        super(WORDS);
        this[0] = number;
        this[1] = position;
        this[2] = size;
        this[3] = partition;
    }

    static get size() {
        return ENTRY;
    }

    static get [Symbol.species]() {
        return Array;
    }

    static fromBuffer(buffer, offset = 0) {
        return new Entry(buffer.readUInt32LE(offset), buffer.readUInt32LE(offset + 4), buffer.readUInt32LE(offset + 8), buffer.readUInt32LE(offset + 12));
    }

    toBuffer(buffer, offset = 0) {
        for (let n = 0; n < WORDS; ++n) buffer.writeUInt32LE(this[n], offset + 4 * n);
        return ENTRY;
    }

    get number() {
        return this[0];
    }

    get position() {
        return this[1];
    }

    get size() {
        return this[2];
    }

    get partition() {
        return this[3];
    }
}

export class CorruptedIndexError extends Error {
    constructor(message, size) {
        super(message);
        this.name = 'CorruptedIndexError';
        this.size = size;
    }
}

function checkEntryClass(EntryClass) {
    if (typeof EntryClass !== 'function' || typeof EntryClass.fromBuffer !== 'function' || typeof EntryClass.prototype?.toBuffer !== 'function')
        throw new Error('Invalid index entry class. Must implement EntryInterface methods.');
    if (!(EntryClass.size > 0)) throw new Error('Entry class size must be positive.');
    if (EntryClass.size !== ENTRY) throw new Error(`Invalid entry size. Entries have ${ENTRY} bytes, but those of "${EntryClass.name}" have ${EntryClass.size}.`);
}

/** @internal What reading and writing indexes share. */
class ReadableIndex extends EventEmitter {
    #native = null;
    #open = false;
    #length = 0;
    #words = new Uint32Array(WORDS);
    #bytes = Buffer.from(this.#words.buffer);
    #pool;
    #given;
    #layout;

    constructor(name = '.index', options = {}) {
        super();
        if (typeof name !== 'string') [name, options] = ['.index', name];
        const { dataDirectory = '.', EntryClass = Entry, metadata, layout, handlePool } = options;
        checkEntryClass(EntryClass);
        this.name = name;
        this.dataDirectory = path.resolve(dataDirectory);
        this.fileName = path.resolve(dataDirectory, name);
        this.EntryClass = EntryClass;
        this.#pool = handlePool ?? null;
        this.#given = metadata;
        this.#layout = layout;
        this.syncOnFlush = Boolean(options.syncOnFlush);
        this.writeBufferSize = Math.max(options.writeBufferSize ?? 4096, ENTRY);
        this.flushDelay = options.flushDelay || 100;
        this.begin();
        this.open();
    }

    /** @protected Before it is opened first. */
    begin() {
        if (!fs.statSync(this.fileName).isFile()) throw new Error('Invalid index file!');
    }

    /** @protected */
    get readOnly() {
        return true;
    }

    #openNative() {
        const size = fs.statSync(this.fileName, { throwIfNoEntry: this.readOnly })?.size ?? 0;
        if (size === 0 && this.readOnly) throw new Error('Index file was truncated to empty!');
        const expected = this.expectedMetadata();
        if (size > 0) this.#verify(checkHeader(this.fileName, MAGIC, {
            wrongKind: 'Invalid file header.',
            wrongVersion: version => `Invalid file version. The index ${this.fileName} was created with a different library version (${version}).`,
        }));
        this.#native = new NesIndex(this.fileName, {
            readOnly: this.readOnly, create: !this.readOnly, syncOnFlush: this.syncOnFlush, layout: this.#layout,
            writeAhead: this.writeBufferSize, metadata: size > 0 ? '' : JSON.stringify(expected),
        });
        this.metadata = JSON.parse(this.#native.metadata());
        this.#length = this.#native.length();
    }

    /** @protected What a new index says about itself. */
    expectedMetadata() {
        return { entryClass: this.EntryClass.name, entrySize: this.EntryClass.size, ...this.#given };
    }

    #verify(stored) {
        if (this.#given === undefined) return;
        const text = JSON.stringify(stored);
        if (text !== JSON.stringify(this.expectedMetadata())) throw new Error(`Index metadata mismatch! ${text}`);
    }

    /** @protected The open file; it is opened again if it was given up for others. */
    native() {
        if (!this.#native) {
            if (!this.#open) throw new Error('Index is not open.');
            this.#openNative();
        }
        this.#pool?.use(this);
        return this.#native;
    }

    /** @protected */
    get hasBuffered() {
        return false;
    }

    /** @protected The file, if it is open at the moment; it does not count as used then. */
    get handle() {
        return this.#native;
    }

    /** @internal Gives the file up until it is used again. */
    release() {
        if (!this.#native) return;
        const native = this.#native;
        this.#native = null;
        native.close();
    }

    isOpen() {
        return this.#open;
    }

    /** True; false if it was open. */
    open() {
        if (this.#open) return false;
        this.#open = true;
        try {
            this.native();
        } catch (error) {
            this.#open = false;
            this.#pool?.forget(this);
            throw error;
        }
        return true;
    }

    close() {
        if (!this.#open) return;
        this.release();
        this.#pool?.forget(this);
        this.#open = false;
        this.#length = 0;
    }

    /** Number of entries; 0 while it is closed. */
    get length() {
        return this.#length;
    }

    /** @protected */
    set length(length) {
        this.#length = length;
    }

    #entryAt(bytes, offset) {
        return this.EntryClass.fromBuffer(bytes, offset);
    }

    /** The entry at a place, counted from 1, or from the end; false if there is none. */
    get(index) {
        if (!Number.isSafeInteger(index) || index === 0 || !this.#open) return false;
        return this.native().get(index, this.#words) ? this.#entryAt(this.#bytes, 0) : false;
    }

    get lastEntry() {
        return this.#length > 0 ? this.get(-1) : false;
    }

    /** Whether both places are there, and in that order. */
    validRange(from, until) {
        return from >= 1 && from <= until && until <= this.#length;
    }

    /** Entries of a range, both ends inside; false if there is no such range. */
    range(from, until = -1) {
        const [first, last] = [from, until].map(place => place < 0 ? place + this.#length + 1 : place);
        if (!this.validRange(first, last)) return false;
        // The file itself is looked into, which would write entries before the data that they name.
        if (this.hasBuffered) return Array.from({ length: last - first + 1 }, (_, n) => this.get(first + n));
        const words = this.native().range(first, last);
        const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
        return Array.from({ length: words.length / WORDS }, (_, n) => this.#entryAt(bytes, n * ENTRY));
    }

    all() {
        return this.#length > 0 ? this.range(1) : [];
    }

    /** The last place whose number is at most `number`, or with `min` the first whose number is at least that; 0 if there is none. */
    find(number, min = false) {
        if (this.#length === 0) return 0;
        return this.native().find(min ? Math.max(number, 1) : number, min);
    }
}

/** An index, to read and to add to. */
export class Index extends ReadableIndex {
    /** @internal What has to be in its files before the entries are. */
    beforeFlush = null;
    #pending = new Pending();
    #buffered = 0;  // entries
    #timer = null;

    /** @protected */
    begin() {
        fs.mkdirSync(path.dirname(this.fileName), { recursive: true });
        if (fs.existsSync(this.fileName) && !fs.statSync(this.fileName).isFile()) throw new Error('Invalid index file!');
    }

    /** @protected */
    get readOnly() {
        return false;
    }

    /** @protected */
    get hasBuffered() {
        return this.#buffered > 0;
    }

    /** Adds an entry; `callback(place)` when it is in the file. */
    add(entry, callback) {
        if (!(entry instanceof this.EntryClass))
            throw new Error(`Wrong entry object. Expected "${this.EntryClass.name}" but got "${entry?.constructor?.name ?? entry}".`);
        if (!this.isOpen()) this.open();
        const words = this.#wordsOf(entry);
        const native = this.native();
        try {
            this.length = native.add(...words);
        } catch (error) {
            if (error.code !== 'invalid_argument') throw error;
            throw new Error('Consistency error. Tried to add an index that should come before existing last entry.', { cause: error });
        }
        const place = this.length;
        this.#pending.add(callback, place);
        if (++this.#buffered * ENTRY >= this.writeBufferSize) this.flush();
        else this.#timer ??= setTimeout(() => this.flush(), this.flushDelay);
        return place;
    }

    #wordsOf(entry) {
        if (this.EntryClass === Entry) return entry;
        const bytes = Buffer.alloc(ENTRY);
        entry.toBuffer(bytes, 0);
        return Entry.fromBuffer(bytes);
    }

    /** Hands everything to the system; false if there was nothing. */
    flush() {
        clearTimeout(this.#timer);
        this.#timer = null;
        if (this.#buffered === 0 || !this.handle) return false;
        this.beforeFlush?.();
        this.handle.flush();
        this.#buffered = 0;
        this.#pending.settle();
        return true;
    }

    /** @internal */
    release() {
        this.flush();
        super.release();
        // What callbacks have added meanwhile was written when the file was closed.
        this.#buffered = 0;
        this.#pending.settle();
    }

    close() {
        if (this.isOpen()) this.flush();
        super.close();
    }

    /** Closes it and removes the file. */
    destroy() {
        this.close();
        fs.rmSync(this.fileName, { force: true });
        this.emit('destroyed');
    }

    /** Keeps the first `after` entries. */
    truncate(after) {
        if (!this.isOpen()) return;
        const keep = Math.max(0, after < 0 ? after + this.length : after);
        if (keep >= this.length) return;
        this.flush();
        this.native().truncate(keep);
        this.length = keep;
    }
}

/** An index that another process, or another object, writes: `append` and `truncate` tell of what happens to it. */
class ReadOnlyIndex extends ReadableIndex {
    #end = null;
    #watches;

    constructor(name, options) {
        super(name, options);
        // Storages tell their indexes when to look.
        this.#watches = (typeof name === 'string' ? options : name)?.watch !== false;
        this.#watch();
    }

    open() {
        if (!super.open()) return false;
        if (#watches in this) this.#watch();  // not yet while it is constructed
        return true;
    }

    #watch() {
        if (this.#watches) this.#end ??= watchFile(this.fileName, kind => this.#changed(kind));
    }

    #changed(kind) {
        if (!this.isOpen()) return;
        // Its name is gone: what comes in its place is another file.
        if (kind === 'rename' && !fs.existsSync(this.fileName)) return this.close();
        this.refresh();
    }

    /** Looks at once whether something has changed; it is told in time without this. */
    refresh() {
        const before = this.length;
        const change = this.native().refresh();
        if (change === null) return;
        const [appended, truncated] = change;
        this.length = before - truncated + appended;
        if (truncated > 0) this.emit('truncate', before, before - truncated);
        if (appended > 0) this.emit('append', before - truncated, this.length);
    }

    close() {
        this.#end?.();
        this.#end = null;
        super.close();
    }
}

Index.Entry = Entry;
Index.ReadOnly = ReadOnlyIndex;
for (const one of [Index, ReadOnlyIndex]) {
    one.Entry = Entry;
    one.HEADER_MAGIC = MAGIC;
    one.CorruptedIndexError = CorruptedIndexError;
}
Entry.EntryInterface = EntryInterface;
