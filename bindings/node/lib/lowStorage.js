// What reading and writing storages of node-event-storage share: files, documents by their entries, ranges.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { HandlePool } from './lowFile.js';
import { IndexMatcher } from './lowMatchers.js';
import { expand } from './options.js';
import { ALL } from './selector.js';

const INDEX = '.index';
const NO_PARTITION = /\.(index|branch|lock)$/;
const MOST_OPEN = 1024;

/** Files below a directory, relative to it, with `/` between the names. */
function filesBelow(directory) {
    if (!fs.existsSync(directory)) return [];
    return fs.readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile()).map(entry => path.relative(directory, path.join(entry.parentPath ?? entry.path, entry.name))).sort();
}

/** Names become paths, which may not leave their directory. */
export function checkFileName(name, what) {
    if (name.split('/').some(part => part === '..' || part === '.' || part === '') || name.includes('\0'))
        throw new Error(`Invalid ${what} name ${JSON.stringify(name)}.`);
}

/** The lowest sequence number first. */
class Heads {
    #sorted = [];  // the next one last

    push(head) {
        const key = head.header.sequenceNumber;
        let [low, high] = [0, this.#sorted.length];
        while (low < high) {
            const middle = (low + high) >>> 1;
            if (this.#sorted[middle].header.sequenceNumber > key) low = middle + 1;
            else high = middle;
        }
        this.#sorted.splice(low, 0, head);
    }

    pop() {
        return this.#sorted.pop();
    }
}

export class ReadableStorage extends EventEmitter {
    #byFile = new Map();  // relative file name -> partition

    constructor(storageName = 'storage', config = {}) {
        super();
        if (typeof storageName !== 'string') [storageName, config] = ['storage', storageName ?? {}];
        this.storageFile = storageName || 'storage';
        const { dataDirectory = '.', indexDirectory, serializer = { serialize: JSON.stringify, deserialize: JSON.parse } } = config;
        this.config = config;
        this.serializer = serializer;
        this.dataDirectory = expand(dataDirectory);
        this.indexDirectory = expand(indexDirectory ?? dataDirectory);
        this.hmacSecret = config.hmacSecret ?? '';
        this.partitionHandlePool = new HandlePool(config.maxOpenPartitions ?? MOST_OPEN);
        this.indexHandlePool = new HandlePool(config.maxOpenIndexes ?? MOST_OPEN);
        const { matcher: _, ...indexOptions } = config.indexOptions ?? {};
        this.indexOptions = { syncOnFlush: Boolean(config.syncOnFlush), ...indexOptions, dataDirectory: this.indexDirectory, handlePool: this.indexHandlePool };
        this.partitionConfig = this.partitionOptions(config);
        this.partitions = Object.create(null);
        this.secondaryIndexes = Object.create(null);
        this.readonlyIndexes = Object.create(null);
        this.indexMatcher = new IndexMatcher(config.matcherProperties);
        /** Null before it is opened first, false while files are looked for, then true. */
        this.initialized = null;
        this.scanning = null;
        this.begin();
        this.index = this.createIndex(config.indexFile ?? `${this.storageFile}${INDEX}`);
    }

    /** @protected Before the first file is opened. */
    begin() {}

    /** @protected */
    partitionOptions({ syncOnFlush, readBufferSize = 4096, writeBufferSize = 16384, maxWriteBufferDocuments = 0, dirtyReads = true, clock, layout }) {
        return {
            dataDirectory: this.dataDirectory, syncOnFlush: Boolean(syncOnFlush), readBufferSize, writeBufferSize, maxWriteBufferDocuments,
            dirtyReads, clock, layout, handlePool: this.partitionHandlePool,
        };
    }

    /** Number of documents. */
    get length() {
        return this.index.length;
    }

    // ---- Files

    /** @protected Takes notice of partitions that have come. */
    findPartitions() {
        const own = `${this.storageFile}.`;
        for (const file of filesBelow(this.dataDirectory)) {
            const mine = file === this.storageFile || file.startsWith(own);
            if (mine && !NO_PARTITION.test(file) && !file.startsWith(`${own}varve/`)) this.registerPartition(file);
        }
    }

    /** @protected The partition of a file; made known if it is not. */
    registerPartition(file) {
        let partition = this.#byFile.get(file);
        if (partition) return partition;
        const short = file.slice(this.storageFile.length + 1);
        partition = this.createPartition(file, short);
        const other = this.partitions[partition.id];
        if (other) throw new Error(`The partitions ${other.name} and ${file} have the same id ${partition.id}, so entries could not tell them apart.`);
        this.#byFile.set(file, partition);
        this.partitions[partition.id] = partition;
        return partition;
    }

    /** @protected By file name. */
    knownPartition(file) {
        return this.#byFile.get(file);
    }

    /** Names of the secondary indexes that have a file. */
    indexNames() {
        const own = `${this.storageFile}.`;
        return filesBelow(this.indexDirectory).filter(file => file.startsWith(own) && file.endsWith(INDEX) && file.length > own.length + INDEX.length)
            .map(file => file.slice(own.length, -INDEX.length));
    }

    /** @protected */
    indexFileOf(name) {
        checkFileName(name, 'index');
        return `${this.storageFile}.${name}${INDEX}`;
    }

    /** @protected */
    hasIndexFile(name) {
        return fs.existsSync(path.join(this.indexDirectory, this.indexFileOf(name)));
    }

    /** Opens it; `callback` and the event `opened` come when all files are known. Reading and writing need not wait for that. */
    open(callback = () => {}) {
        if (this.initialized === false) return true;
        if (this.initialized) {
            if (this.index.isOpen()) return true;
            this.index.open();
            callback();
            this.emit('opened');
            return true;
        }
        this.initialized = false;
        this.scanning = setImmediate(() => {
            this.scanning = null;
            this.findPartitions();
            for (const name of this.indexNames()) if (!this.secondaryIndexes[name]) this.emit('index-created', name);
            this.index.open();
            this.initialized = true;
            this.opened();
            callback();
            this.emit('opened');
        });
        return true;
    }

    /** @protected All files are known. */
    opened() {}

    /** Closes all files. Indexes stay valid objects: they are opened again by the next read or write that needs them. */
    close() {
        if (this.scanning) {
            clearImmediate(this.scanning);
            this.scanning = null;
            this.initialized = null;
        }
        this.forEachPartition(partition => partition.close());
        for (const { index } of Object.values(this.secondaryIndexes)) index.close();
        for (const { index } of Object.values(this.readonlyIndexes)) index.close();
        this.readonlyIndexes = Object.create(null);
        this.index.close();
        this.closed();
        this.emit('closed');
    }

    /** @protected */
    closed() {}

    // ---- Reading

    /** The partition of an id, or of a name without the storage's. */
    getPartition(identifier) {
        const partition = this.partitions[identifier] ?? this.knownPartition(this.partitionFile(String(identifier))) ?? this.lookFor(identifier);
        if (!partition) throw new Error(`Partition #${identifier} does not exist.`);
        if (!partition.isOpen()) partition.open();
        return partition;
    }

    /** @protected */
    partitionFile(short) {
        return short === '' ? this.storageFile : `${this.storageFile}.${short}`;
    }

    /** @protected Another process, or one that has not scanned yet, may have made it. */
    lookFor(id) {
        this.findPartitions();
        return this.partitions[id] ?? this.knownPartition(this.partitionFile(String(id)));
    }

    /** @protected Data of a document as it is stored; false behind the end. */
    dataAt({ partition: id, position, size }, text, headerOut) {
        const partition = this.getPartition(id);
        if (this.listenerCount('preRead') > 0) this.emit('preRead', position, partition.metadata);
        return partition.readAt(position, size, text, headerOut);
    }

    /** The document at a place. */
    readFrom(partitionId, position, size) {
        const text = this.dataAt({ partition: partitionId, position, size }, true);
        return text === false ? false : this.serializer.deserialize(text);
    }

    /** @protected */
    opening(index) {
        if (!index.isOpen()) index.open();
        return index;
    }

    /** The document with that number, or at that place of an index; false if there is none. */
    read(number, index = null) {
        const entry = this.opening(index ?? this.index).get(number);
        return entry === false ? false : this.readFrom(entry.partition, entry.position, entry.size);
    }

    /**
     * The documents of a range, both ends inside, in that order; negative places count from the end. `index === false`: all documents by
     * their stored numbers, without any index. Raw: `{buffer, time64, sequenceNumber}`, as it is stored.
     */
    *readRange(from, until = -1, index = null, raw = false) {
        if (index !== false) this.opening(index ?? this.index);
        const { length } = index || this.index;
        const [first, last] = [from, until].map(place => place < 0 ? place + length + 1 : place);
        const [low, high] = first <= last ? [first, last] : [last, first];
        if (index === false) return yield* this.#bySequence(low, first <= last ? high : Infinity, raw);
        if (!(low >= 1 && high <= length)) throw new Error(`Range scan error for range ${from} - ${until}.`);
        yield* this.iterateRange(first, last, index ?? this.index, raw);
    }

    /** @protected */
    *iterateRange(from, until, index, raw = false) {
        const step = from <= until ? 1 : -1;
        for (let place = from; step > 0 ? place <= until : place >= until; place += step) {
            const entry = index.get(place);
            if (entry === false) return;
            const document = raw ? this.#raw(entry) : this.readFrom(entry.partition, entry.position, entry.size);
            if (document === false) return;
            yield document;
        }
    }

    #raw(entry) {
        const header = {};
        const buffer = this.dataAt(entry, false, header);
        return buffer === false ? false : { buffer, time64: header.time64, sequenceNumber: header.sequenceNumber };
    }

    *#bySequence(from, until, raw) {
        for (const { data, header } of this.documentsBySequence(from - 1)) {
            if (header.sequenceNumber >= until) return;
            yield raw ? { buffer: data, time64: header.time64, sequenceNumber: header.sequenceNumber } : this.serializer.deserialize(data.toString('utf8'));
        }
    }

    /** @protected `{data, header, position, partition}` of all documents from a stored number on, in the order of these. */
    *documentsBySequence(from = 0) {
        this.findPartitions();
        const heads = new Heads();
        const advance = (partition, position) => {
            const header = {};
            if (position >= partition.end) return;
            const data = partition.readAt(position, 0, false, header);
            if (data !== false) heads.push({ partition, position, data, header });
        };
        for (const partition of Object.values(this.partitions)) {
            if (!partition.isOpen() && !partition.open()) continue;
            const found = partition.findDocument(Math.max(0, from), true);
            if (found) advance(partition, found.position);
        }
        for (let head; (head = heads.pop()) !== undefined;) {
            yield head;
            advance(head.partition, head.position + head.partition.documentWriteSize(head.header.dataSize));
        }
    }

    // ---- Indexes

    /** The index of that name. */
    openIndex(name, matcher) {
        if (name === ALL) return this.index;
        const known = this.secondaryIndexes[name];
        if (known) return this.opening(known.index);
        if (!this.hasIndexFile(name)) throw new Error(`Index "${name}" does not exist.`);
        return this.loadIndex(name, matcher);
    }

    /** The index of a closed stream, `NAME.closed`: read as it is, never written. */
    openReadonlyIndex(name) {
        const known = this.readonlyIndexes[name];
        if (known) return known.index;
        if (!this.hasIndexFile(name)) throw new Error(`Index "${name}" does not exist.`);
        const index = this.createReadonlyIndex(this.indexFileOf(name));
        this.readonlyIndexes[name] = { index };
        return index;
    }

    removeSecondaryIndex(name) {
        delete this.secondaryIndexes[name];
        this.indexMatcher.remove(name);
    }

    // ---- For all of them

    forEachPartition(handler) {
        for (const partition of Object.values(this.partitions)) handler(partition);
    }

    /** `handler(document, entry)`; with `noIndex` in the order of the stored numbers. */
    forEachDocument(handler, noIndex = false) {
        if (noIndex) {
            for (const { data, header, position, partition } of this.documentsBySequence())
                handler(this.serializer.deserialize(data.toString('utf8')), { number: header.sequenceNumber + 1, position, size: header.dataSize, partition: partition.id });
            return;
        }
        for (let number = 1; number <= this.length; ++number) {
            const entry = this.index.get(number);
            handler(this.readFrom(entry.partition, entry.position, entry.size), entry);
        }
    }

    /** `handler(index, name)`: of all that are loaded, or of those that a document belongs to. */
    forEachSecondaryIndex(handler, document = undefined) {
        const names = document === undefined ? Object.keys(this.secondaryIndexes) : this.indexMatcher.namesFor(document);
        for (const name of names) handler(this.secondaryIndexes[name].index, name);
    }

    /** `handler(entry)` for the first of the entries in each partition. */
    forEachDistinctPartitionOf(entries, handler) {
        const seen = new Set();
        for (const entry of entries) {
            if (seen.has(entry.partition)) continue;
            seen.add(entry.partition);
            handler(entry);
        }
    }

    /** `hook(position, metadata of the partition)` before a document is read; what it throws ends the read. */
    preRead(hook) {
        this.on('preRead', hook);
    }
}
