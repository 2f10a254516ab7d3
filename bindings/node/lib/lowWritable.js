// Storage: documents in partitions, with indexes over them, in files that event-storage reads and writes as well.
import fs from 'node:fs';
import path from 'node:path';
import { StorageLockedError } from './errors.js';
import { Entry, Index } from './lowIndex.js';
import { describeMatcher, loadMatcher } from './lowMatchers.js';
import { Partition } from './lowPartition.js';
import { ReadOnlyStorage } from './lowReadOnly.js';
import { ReadableStorage, checkFileName } from './lowStorage.js';
import { matches } from './matcher.js';
import { repairStorage } from './native.js';
import { ALL } from './selector.js';

const LOCK_RECLAIM = 1;
const LOCK_THROW = 2;

function lockedError({ storageFile }, cause) {
    return new StorageLockedError(`Storage ${storageFile} is locked by another process`, cause.message);
}

/** Data first, indexes after them, the primary one last: what an entry names is there. */
export class Storage extends ReadableStorage {
    #locked = false;
    #repaired = false;

    constructor(storageName, config) {
        super(storageName, config);
        this.partitioner = this.config.partitioner ?? (() => '');
        this.index.beforeFlush = () => this.#flushPartitions();
    }

    /** @protected */
    begin() {
        fs.mkdirSync(this.dataDirectory, { recursive: true });
        this.lockFile = path.resolve(this.dataDirectory, `${this.storageFile}.lock`);
    }

    /** @protected */
    createIndex(file, options = {}) {
        try {
            return new Index(file, { ...this.indexOptions, ...options });
        } catch (error) {
            if (error.code === 'locked') throw lockedError(this, error);
            throw error;
        }
    }

    /** @protected */
    createReadonlyIndex(file) {
        return new Index.ReadOnly(file, { ...this.indexOptions, watch: false });
    }

    /** @protected */
    createPartition(file, short) {
        const { metadata = {} } = this.config;
        return new Partition(file, { ...this.partitionConfig, metadata: typeof metadata === 'function' ? metadata(short) : metadata });
    }

    // ---- Opening

    /** True if it was taken now; false if it is held already. */
    lock() {
        if (this.#locked) return false;
        try {
            fs.mkdirSync(this.lockFile);
        } catch (error) {
            if (error.code === 'EEXIST') throw lockedError(this, new Error(`${this.lockFile} is there`));
            throw new Error(`Error creating lock for storage ${this.storageFile}: ${error.message}`, { cause: error });
        }
        return this.#locked = true;
    }

    /** Removes the lock, whoever has it. True if it was not this object's. */
    unlock() {
        const foreign = !this.#locked && fs.existsSync(this.lockFile);
        if (fs.existsSync(this.lockFile)) fs.rmdirSync(this.lockFile);
        this.#locked = false;
        return foreign;
    }

    open(callback) {
        if (this.#locked) return true;
        const reclaim = this.config.lock === LOCK_RECLAIM && fs.existsSync(this.lockFile);
        // Whoever writes has the primary index, so this is a lock that was left behind.
        if (reclaim) {
            this.index.open();
            this.#repaired = false;
            this.unlock();
        }
        try {
            this.lock();
        } catch (error) {
            this.index.close();  // whoever has the lock is not to be held up
            throw error;
        }
        if (reclaim) this.checkTornWrites();
        return super.open(callback);
    }

    /**
     * Makes files agree after a crash: what was not written to its end is cut off and kept in `.branch` files, indexes get what they
     * miss. Called by `open` when a lock is reclaimed.
     */
    checkTornWrites() {
        this.flush();
        const open = Object.values(this.secondaryIndexes).filter(({ index }) => index.isOpen());
        this.forEachPartition(partition => partition.close());
        for (const { index } of open) index.close();
        this.index.close();
        const locked = this.#locked;
        let report;
        try {
            report = repairStorage(this.dataDirectory, this.storageFile, this.indexDirectory, locked);
        } finally {
            this.#locked = false;
            if (locked) this.lock();
            this.index.open();
        }
        this.#repaired = true;
        for (const { index } of open) index.open();
        if (report.anything) this.#fillFunctions(report);
        return report;
    }

    // Indexes of functions are known to JavaScript only.
    #fillFunctions({ length, unindexed }) {
        for (const { index, matcher } of Object.values(this.secondaryIndexes)) {
            if (typeof matcher !== 'function') continue;
            this.opening(index).truncate(index.find(length));
            this.#fill(index, matcher, length - unindexed + 1);
        }
    }

    /** @protected */
    closed() {
        this.unlockOwn();
    }

    /** @protected The lock goes last: until then nobody else may write. */
    unlockOwn() {
        if (this.#locked) this.unlock();
    }

    close() {
        this.flush();
        super.close();
    }

    // ---- Writing

    /** The partition of an id, or of a name without the storage's, which is made if it is not there. */
    getPartition(identifier) {
        if (typeof identifier !== 'string' || identifier in this.partitions) return super.getPartition(identifier);
        const file = this.partitionFile(identifier);
        const known = this.knownPartition(file);
        if (known?.isOpen()) return known;
        if (identifier !== '') checkFileName(identifier, 'partition');
        if (/\.(index|branch|lock)$/.test(file)) throw new Error(`Invalid partition name "${identifier}": its file would be taken for another.`);
        const isNew = !known && !fs.existsSync(path.join(this.dataDirectory, file));
        const partition = known ?? this.registerPartition(file);
        partition.open();
        if (isNew) this.emit('partition-created', partition.id);
        return partition;
    }

    // A partition that disagrees with the index was left so by a crash.
    #partitionFor(name) {
        const partition = this.getPartition(name);
        if (partition.checked) return partition;
        const last = partition.isTorn() ? null : partition.readLast();
        const agrees = !partition.isTorn() && (last === null || last.header.sequenceNumber < this.length);
        if (!agrees && !this.#repaired) {
            this.checkTornWrites();
            return this.#partitionFor(name);
        }
        partition.checked = true;
        return partition;
    }

    /** Writes a document and returns its number; `callback` when it is with the system. */
    write(document, callback) {
        if (!this.index.isOpen()) this.index.open();
        const text = this.serializer.serialize(document).toString();
        const partition = this.#partitionFor(this.partitioner(document, this.length + 1));
        if (this.listenerCount('preCommit') > 0) this.emit('preCommit', document, partition.metadata);
        // Whatever a matcher throws, it throws before anything is written.
        const names = this.indexMatcher.namesFor(document);
        const number = this.length;
        const position = partition.write(text, number, callback);
        try {
            this.addIndex(partition.id, position, Buffer.byteLength(text), document);
            const entry = this.index.lastEntry;
            for (const name of names) this.#addTo(name, entry, document);
        } catch (error) {
            this.#takeBack(number, partition, position);
            throw error;
        }
        return this.length;
    }

    #addTo(name, entry, document) {
        const place = this.opening(this.secondaryIndexes[name].index).add(entry);
        this.emit('index-add', name, place, document);
    }

    #takeBack(length, partition, position) {
        for (const { index } of Object.values(this.secondaryIndexes)) if (index.isOpen()) index.truncate(index.find(length));
        this.index.truncate(length);
        partition.truncate(position);
    }

    /** Adds the entry of a document that is in its partition. */
    addIndex(partitionId, position, size, document, callback) {
        const entry = new Entry(this.length + 1, position, size, partitionId);
        this.index.add(entry, place => {
            this.emit('wrote', document, entry, place);
            callback?.(place);
        });
        return entry;
    }

    #flushPartitions() {
        let any = false;
        this.forEachPartition(partition => any = partition.flush() || any);
        return any;
    }

    /** Hands everything to the system; true if there was something. */
    flush() {
        let any = this.#flushPartitions();
        this.forEachSecondaryIndex(index => any = index.flush() || any);
        return this.index.flush() || any;
    }

    /** `hook(document, metadata of the partition)` before a document is written; what it throws keeps it from being written. */
    preCommit(hook) {
        this.on('preCommit', hook);
    }

    // ---- Indexes

    /** The index of all documents that a matcher takes; made if it is not there, with those that are there if `reindex`. */
    ensureIndex(name, matcher, reindex = true) {
        if (name === ALL) return this.index;
        const known = this.secondaryIndexes[name];
        if (known) return this.opening(known.index);
        if (typeof name === 'string' && this.hasIndexFile(name)) return this.openIndex(name, matcher);
        if (typeof matcher !== 'function' && (typeof matcher !== 'object' || matcher === null)) throw new Error('Need to specify a matcher.');
        const index = this.createIndex(this.indexFileOf(name), { metadata: describeMatcher(matcher, this.hmacSecret) });
        try {
            if (reindex) this.#fill(index, matcher, 1);
        } catch (error) {
            index.destroy();
            throw error;
        }
        this.#register(name, index, matcher);
        this.emit('index-created', name);
        return index;
    }

    #fill(index, matcher, from) {
        for (let number = from; number <= this.length; ++number) {
            const entry = this.index.get(number);
            if (matches(this.readFrom(entry.partition, entry.position, entry.size), matcher)) index.add(entry);
        }
    }

    /** @protected */
    loadIndex(name, matcher) {
        const given = matcher !== undefined && matcher !== null;
        const index = this.createIndex(this.indexFileOf(name), given ? { metadata: describeMatcher(matcher, this.hmacSecret) } : {});
        let known;
        try {
            known = given ? matcher : loadMatcher(index.metadata, this.hmacSecret);
        } catch (error) {
            index.close();
            throw error;
        }
        const own = index.find(this.length);
        if (own < index.length) index.truncate(own);
        this.#register(name, index, known);
        return index;
    }

    #register(name, index, matcher) {
        this.secondaryIndexes[name] = { index, matcher };
        this.indexMatcher.add(name, matcher);
    }

    // ---- Cutting

    /** Keeps the first `after` documents; what is cut off is kept in `.branch` files. */
    truncate(after) {
        const keep = after < 0 ? after + this.length : after;
        if (keep >= this.length) return;
        this.flush();
        this.findPartitions();
        this.#truncatePartitions(Math.max(0, keep));
        this.#truncateIndexes(Math.max(0, keep));
    }

    #truncatePartitions(keep) {
        if (keep === 0) return this.forEachPartition(partition => partition.open() && partition.truncate(0));
        const all = Object.keys(this.partitions).length;
        const cut = new Map();
        for (let number = keep + 1; number <= this.length && cut.size < all; ++number) {
            const { partition, position } = this.index.get(number);
            if (!cut.has(partition)) cut.set(partition, position);
        }
        for (const [id, position] of cut) super.getPartition(id).truncate(position);
    }

    #truncateIndexes(keep) {
        this.index.truncate(keep);
        this.forEachSecondaryIndex(index => {
            const closed = index.open();
            index.truncate(index.find(keep));
            if (closed) index.close();
        });
    }

    /** Makes the indexes anew from the documents, from number `from` + 1 on. */
    reindex(from = 0) {
        this.flush();
        this.#truncateIndexes(from);
        for (const { data, header, position, partition } of this.documentsBySequence(from)) {
            if (header.sequenceNumber !== this.length) {
                const error = new Error(`${partition.fileName} has document ${header.sequenceNumber + 1}, but document ${this.length + 1} is in no partition.`);
                error.code = 'corrupt';
                throw error;
            }
            const document = this.serializer.deserialize(data.toString('utf8'));
            const names = this.indexMatcher.namesFor(document);
            const entry = this.addIndex(partition.id, position, header.dataSize, document);
            for (const name of names) this.opening(this.secondaryIndexes[name].index).add(entry);
        }
        this.flush();
    }
}

Object.assign(Storage, { ReadOnly: ReadOnlyStorage, StorageLockedError, LOCK_THROW, LOCK_RECLAIM });
