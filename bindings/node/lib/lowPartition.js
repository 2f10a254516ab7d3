// Partition: a file of documents of a storage of node-event-storage, one behind the other.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Pending, checkHeader } from './lowFile.js';
import { watchFile } from './lowWatch.js';
import { NesPartition } from './native.js';

const MAGIC = 'nesprt03';
const ALIGNMENT = 4;
const DOCUMENT_HEADER = 16;
const DOCUMENT_FOOTER = 8;
const MOST_METADATA = 4096;
const LEAST_HEADER = 16;
const MOST_DOCUMENT = 64 * 1024 * 1024;
const US_PER_MS = 1000;

export class CorruptFileError extends Error {
    constructor(message, options) {
        super(message, options);
        this.name = 'CorruptFileError';
    }
}

export class InvalidDataSizeError extends Error {
    constructor(message) {
        super(message);
        this.name = 'InvalidDataSizeError';
    }
}

/** The id that entries of indexes have for the partition of this file name, relative to the data directory. */
export function idFor(name) {
    let hash = name.length > 0 ? 5381 : 0;
    for (let n = name.length - 1; n >= 0; --n) hash = (Math.imul(hash, 33) ^ name.charCodeAt(n)) | 0;
    return hash >>> 0;
}

function padded(size) {
    return DOCUMENT_HEADER + Math.ceil(size / ALIGNMENT) * ALIGNMENT + DOCUMENT_FOOTER;
}

/** @internal What reading and writing partitions share. */
class ReadablePartition extends EventEmitter {
    #native = null;
    #open = false;
    #header = new Float64Array(4);
    #pool;
    #size = 0;   // of whole documents
    #torn = null;

    constructor(name, options = {}) {
        super();
        if (typeof name !== 'string' || name === '') throw new Error('Must specify a partition name.');
        this.name = name;
        this.id = idFor(name);
        this.dataDirectory = path.resolve(options.dataDirectory ?? '.');
        this.fileName = path.resolve(this.dataDirectory, name);
        this.metadata = options.metadata ?? {};
        this.layout = options.layout;
        this.syncOnFlush = Boolean(options.syncOnFlush);
        this.writeBufferSize = options.writeBufferSize ?? 16384;
        this.dirtyReads = options.dirtyReads !== false;
        this.#pool = options.handlePool ?? null;
    }

    /** @protected */
    get readOnly() {
        return true;
    }

    /** @protected Options of a file that does not exist yet. */
    beginning() {
        return {};
    }

    #openNative() {
        const size = fs.statSync(this.fileName, { throwIfNoEntry: this.readOnly })?.size ?? 0;
        if (size === 0 && this.readOnly) return false;
        if (size > 0 && size < LEAST_HEADER) throw new Error('Invalid file.');
        if (size > 0) checkHeader(this.fileName, MAGIC, {
            wrongKind: `Invalid file header in partition ${this.name}.`,
            wrongVersion: version => `Invalid file version. The partition ${this.name} was created with a different library version (${version}).`,
            mostMetadata: MOST_METADATA,
        });
        if (!this.readOnly) fs.mkdirSync(path.dirname(this.fileName), { recursive: true });
        this.#native = new NesPartition(this.fileName, {
            readOnly: this.readOnly, create: !this.readOnly, syncOnFlush: this.syncOnFlush, layout: this.layout,
            writeAhead: this.writeBufferSize, ...(size > 0 ? {} : this.beginning()),
        });
        this.metadata = JSON.parse(this.#native.metadata());
        this.headerSize = this.#native.headerBytes();
        this.look();
        return true;
    }

    /** @protected Takes notice of where the documents end. */
    look() {
        this.#size = this.#native.size();
        this.#torn = this.#native.torn();
    }

    /** @protected The open file. */
    native() {
        if (!this.#open) throw new Error('Partition is not opened.');
        if (!this.#native) this.#openNative();
        this.#pool?.use(this);
        return this.#native;
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

    /** False if it can not be opened, because nobody has begun it. */
    open() {
        if (this.#open) return true;
        if (!this.#openNative()) return false;
        this.#open = true;
        this.#pool?.use(this);
        return true;
    }

    close() {
        if (!this.#open) return;
        this.release();
        this.#pool?.forget(this);
        this.#open = false;
    }

    /** Bytes of documents, also of one that was not written to its end. */
    get size() {
        return this.#size + (this.#torn?.bytes ?? 0);
    }

    /** @protected Bytes of whole documents. */
    get end() {
        return this.#size;
    }

    /** @protected */
    set end(size) {
        this.#size = size;
    }

    /** @protected How far documents may be read. */
    get readable() {
        return this.#size;
    }

    /** Bytes that a document of so many bytes takes. */
    documentWriteSize(dataSize) {
        return padded(dataSize);
    }

    /** @internal The document at a position, as a string or as a Buffer; false at the end. */
    readAt(position, size, text, headerOut) {
        const native = this.native();
        if (position % ALIGNMENT !== 0) throw new Error(`Invalid read position ${position}. Needs to be a multiple of 4.`);
        if (position < 0) throw new Error(`Invalid read position ${position}. Needs to be at least 0.`);
        if (position >= this.readable) return this.#behindEnd(position);
        let data;
        try {
            data = native.read(position, this.#header, text);
        } catch (error) {
            throw this.#unreadable(error, position);
        }
        const [, dataSize, sequenceNumber, time64] = this.#header;
        if (size > 0 && dataSize !== size) throw new InvalidDataSizeError(`Invalid document size ${dataSize} at position ${position}, expected ${size}.`);
        if (headerOut) Object.assign(headerOut, { dataSize, sequenceNumber, time64 });
        return data;
    }

    #behindEnd(position) {
        if (this.readable < this.#size || position + DOCUMENT_HEADER >= this.size) return false;
        throw this.#cutOff(position);
    }

    #cutOff(position, cause) {
        return new CorruptFileError(`Invalid document at position ${position}. This may be caused by an unfinished write.`, { cause });
    }

    #unreadable(error, position) {
        if (error.code !== 'corrupt') return error;
        if (!/has a size that cannot be/.test(error.message)) return this.#cutOff(position, error);
        return new CorruptFileError(`Error reading document size from ${position}, got ${this.#sizeAt(position)}.`, { cause: error });
    }

    #sizeAt(position) {
        const file = fs.openSync(this.fileName, 'r');
        try {
            const bytes = Buffer.alloc(4);
            fs.readSync(file, bytes, 0, 4, this.headerSize + position);
            return bytes.readUInt32BE(0);
        } finally {
            fs.closeSync(file);
        }
    }

    /** The bytes of the document at a position; false at the end. `headerOut` gets `dataSize`, `sequenceNumber` and `time64`, microseconds since 1970. */
    readFrom(position, size = 0, headerOut = null) {
        return this.readAt(position, size, false, headerOut);
    }

    #found(there) {
        if (!there) return null;
        const [position, dataSize, sequenceNumber, time64] = this.#header;
        return { header: { dataSize, sequenceNumber, time64 }, position };
    }

    /** `{header, position}` of the last document; null if there is none. */
    readLast() {
        return this.#found(this.readable > 0 && this.native().before(this.readable, this.#header));
    }

    /** Where the document before a position begins; false if there is none. */
    findDocumentPositionBefore(position) {
        const at = Math.min(position, this.readable);
        if (at <= 0) return false;
        return this.native().before(at, this.#header) ? this.#header[0] : false;
    }

    /** `{header, position}` of the first document whose number is at least that, or without `min` the last whose is at most that; or null. */
    findDocument(sequenceNumber, min = true) {
        const found = this.#found(this.native().find(sequenceNumber, min, this.#header));
        return found && found.position < this.readable ? found : null;
    }

    /** All documents from a position on. */
    *readAll(after = 0) {
        let position = after < 0 ? Math.max(0, this.size + after + 1) : after;
        for (let data; (data = this.readFrom(position)) !== false;) {
            position += padded(data.length);
            yield data;
        }
    }

    /** All documents that end at a position or before it, the last one first. */
    *readAllBackwards(before = -1) {
        let position = Math.min(before < 0 ? this.size + before + 1 : before, this.readable);
        while ((position = this.findDocumentPositionBefore(position)) !== false) yield this.readFrom(position);
    }

    /** `{data, header, entry}` of the documents with these numbers, both ends inside; backwards if `from` is behind `until`. */
    *readRange(from, until) {
        const forwards = from <= until;
        const item = { data: null, header: {}, entry: null };
        const inside = ({ sequenceNumber }) => forwards ? sequenceNumber <= until : sequenceNumber >= until;
        let found = this.findDocument(from, forwards);
        while (found && inside(found.header)) {
            const { position } = found;
            item.data = this.readFrom(position, 0, item.header);
            item.entry = { number: item.header.sequenceNumber + 1, position, size: item.header.dataSize, partition: this.id };
            yield item;
            found = forwards ? this.#next(position + padded(item.header.dataSize))
                : this.#found(position > 0 && this.native().before(position, this.#header));
        }
    }

    #next(position) {
        const header = {};
        return this.readFrom(position, 0, header) === false ? null : { header, position };
    }
}

/** A partition, to read and to write. */
export class Partition extends ReadablePartition {
    #pending = new Pending();
    #buffered = 0;   // bytes
    #documents = 0;  // in the buffer
    #scheduled = false;
    #flushed = 0;    // bytes of documents that others can see
    #clock = null;

    constructor(name, options = {}) {
        super(name, options);
        this.maxWriteBufferDocuments = options.maxWriteBufferDocuments ?? 0;
        this.ClockConstructor = options.clock ?? null;
        if (this.ClockConstructor !== null && typeof this.ClockConstructor?.prototype?.time !== 'function')
            throw new Error('Clock needs to implement the method time()');
        const { epoch, ...others } = this.metadata;
        this.metadata = { epoch: epoch ?? Date.now(), ...others };
    }

    /** @protected */
    get readOnly() {
        return false;
    }

    /** @protected */
    beginning() {
        const { epoch, ...others } = this.metadata;
        return { epoch, metadata: Object.keys(others).length > 0 ? JSON.stringify(others) : '' };
    }

    /** @protected */
    look() {
        super.look();
        this.#flushed = this.end;
        if (this.ClockConstructor) this.#clock = new this.ClockConstructor(this.metadata.epoch);
    }

    /** @protected */
    get readable() {
        return this.dirtyReads ? this.end : this.#flushed;
    }

    #time() {
        if (!this.#clock) return undefined;
        const time = this.#clock.time();
        if (!(time >= 0)) throw new Error('Time may not be negative!');
        return this.metadata.epoch * US_PER_MS + Math.floor(time);
    }

    /** Appends a document and returns its position; `callback()` when it is in the file. */
    write(data, sequenceNumber = 0, callback = null) {
        if (typeof sequenceNumber === 'function') [sequenceNumber, callback] = [0, sequenceNumber];
        const native = this.native();
        const bytes = Buffer.isBuffer(data) ? data : String(data);
        const size = Buffer.byteLength(bytes);
        if (size > MOST_DOCUMENT) throw new Error('Document is too large! Maximum is 64 MB');
        const total = padded(size);
        if (this.#buffered > 0 && this.#buffered + total > this.writeBufferSize) this.flush();
        const position = native.write(bytes, sequenceNumber, this.#time());
        this.end = position + total;
        this.#pending.add(callback);
        this.#buffered += total;
        ++this.#documents;
        if (this.maxWriteBufferDocuments > 0 && this.#documents >= this.maxWriteBufferDocuments) this.flush();
        else this.#schedule();
        return position;
    }

    #schedule() {
        if (this.#scheduled) return;
        this.#scheduled = true;
        process.nextTick(() => {
            this.#scheduled = false;
            this.flush();
        });
    }

    /** Hands everything to the system, and calls back; false if there was nothing. */
    flush() {
        if (this.#buffered === 0 || !this.handle) return false;
        this.handle.flush();
        this.#buffered = this.#documents = 0;
        this.#flushed = this.end;
        this.#pending.settle();
        return true;
    }

    /** @internal */
    release() {
        this.flush();
        super.release();
        // What callbacks have written meanwhile was flushed when the file was closed.
        this.#buffered = this.#documents = 0;
        this.#flushed = this.end;
        this.#pending.settle();
    }

    close() {
        if (this.isOpen()) this.flush();
        super.close();
    }

    /** Cuts off everything from a position on, which is kept in a file of its own: NAME-truncated-TIME-POSITION.branch. */
    truncate(after) {
        const native = this.native();
        this.flush();
        const position = Math.max(0, after);
        if (position >= this.size) return;
        try {
            native.truncate(position);
        } catch (error) {
            if (error.code !== 'invalid_argument') throw error;
            throw new Error('Can only truncate on valid document boundaries.', { cause: error });
        }
        this.look();
        this.emit('truncated', position);
    }

    /** Keeps the documents whose numbers are at most that. */
    truncateAfterSequence(sequenceNumber) {
        const native = this.native();
        this.flush();
        const before = this.size;
        if (sequenceNumber < 0) return this.truncate(0);
        native.truncateAfter(sequenceNumber);
        this.look();
        if (this.size < before) this.emit('truncated', this.size);
    }

    /** @internal Whether its last document was not written to its end. */
    isTorn() {
        return this.native().torn() !== null;
    }
}

/** A partition that another process, or another object, writes: `append` and `truncate` tell of what happens to it. */
class ReadOnlyPartition extends ReadablePartition {
    #end = null;
    #watches;

    constructor(name, options = {}) {
        super(name, options);
        this.#watches = options.watch !== false;  // storages look when they read
    }

    open() {
        if (this.isOpen()) return true;
        if (!super.open()) return false;
        if (this.#watches) this.#end = watchFile(this.fileName, kind => this.#changed(kind));
        return true;
    }

    #changed(kind) {
        if (!this.isOpen()) return;
        if (kind === 'rename' && !fs.existsSync(this.fileName)) return this.close();
        this.refresh();
    }

    /** Looks at once whether something has changed; it is told in time without this. */
    refresh() {
        const before = this.end;
        const change = this.native().refresh();
        this.look();
        if (change === null) return;
        const [appended, truncated] = change;
        if (truncated > 0) this.emit('truncate', before, before - truncated);
        if (appended > 0) this.emit('append', before - truncated, this.end);
    }

    close() {
        this.#end?.();
        this.#end = null;
        super.close();
    }
}

Partition.ReadOnly = ReadOnlyPartition;
for (const one of [Partition, ReadOnlyPartition]) Object.assign(one, { idFor, CorruptFileError, InvalidDataSizeError, HEADER_MAGIC: MAGIC });
