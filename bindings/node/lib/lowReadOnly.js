// A storage of node-event-storage that somebody else writes: it is followed while it is open.
import { EventEmitter } from 'node:events';
import { Index } from './lowIndex.js';
import { Partition } from './lowPartition.js';
import { ReadableStorage } from './lowStorage.js';
import { watchBelow } from './lowWatch.js';

const INDEX = '.index';

export class ReadOnlyStorage extends ReadableStorage {
    #ends = [];
    #seen = new Set();  // names of indexes

    constructor(storageName, config) {
        super(storageName, config);
        this.index.on('append', (before, after) =>
            this.#tell(this.index, before, after, (document, entry, place) => this.emit('wrote', document, entry, place)));
        this.index.on('truncate', (before, after) => this.emit('truncate', before, after));
    }

    /** @protected */
    createIndex(file) {
        return new Index.ReadOnly(file, { ...this.indexOptions, watch: false });
    }

    /** @protected */
    createReadonlyIndex(file) {
        return this.createIndex(file);
    }

    /** @protected */
    createPartition(file) {
        return new Partition.ReadOnly(file, { ...this.partitionConfig, watch: false });
    }

    #tell(index, before, after, tell) {
        if (this.initialized !== true) return;
        try {
            for (let place = before + 1; place <= after; ++place) {
                const entry = index.get(place);
                if (entry !== false) tell(this.readFrom(entry.partition, entry.position, entry.size), entry, place);
            }
        } catch (error) {
            this.emit('error', error);
        }
    }

    /** @protected */
    loadIndex(name) {
        const index = this.createIndex(this.indexFileOf(name));
        this.secondaryIndexes[name] = { index };
        this.#seen.add(name);
        index.on('append', (before, after) => {
            if (this.listenerCount('index-add') === 0) return;
            this.#tell(index, before, after, (document, _, place) => this.emit('index-add', name, place, document));
        });
        return index;
    }

    open(callback) {
        if (this.#ends.length === 0) this.#watch();
        return super.open(callback);
    }

    #watch() {
        const known = this.indexNames();
        for (const name of known) this.#seen.add(name);
        this.#ends.push(watchBelow(this.indexDirectory, (kind, file) => this.#changed(kind, file)));
    }

    // Data is written before the entries that name it, so that indexes alone say what is new.
    #changed(kind, file) {
        if (!file.startsWith(this.storageFile) || !file.endsWith(INDEX)) return;
        if (file === this.index.name) return this.refresh();
        const name = file.slice(this.storageFile.length + 1, -INDEX.length);
        if (name === '' || !file.startsWith(`${this.storageFile}.`)) return;
        const known = this.secondaryIndexes[name];
        if (kind === 'rename') return this.#renamed(name, known);
        if (known?.index.isOpen()) this.#refresh(known.index);
    }

    #renamed(name, known) {
        const there = this.hasIndexFile(name);
        if (!there) {
            known?.index.close();
            this.removeSecondaryIndex(name);
            this.#seen.delete(name);
        } else if (!this.#seen.has(name)) {
            this.#seen.add(name);
            this.emit('index-created', name);
        }
    }

    #refresh(index) {
        try {
            index.refresh();
        } catch (error) {
            this.emit('error', error);
        }
    }

    /** Looks at once for what has come; it is told in time without this. */
    refresh() {
        if (!this.index.isOpen()) return;
        this.#refresh(this.index);
        for (const { index } of Object.values(this.secondaryIndexes)) if (index.isOpen()) this.#refresh(index);
    }

    /** @protected */
    dataAt(entry, text, headerOut) {
        const partition = this.getPartition(entry.partition);
        if (entry.position >= partition.end) partition.refresh();
        return super.dataAt(entry, text, headerOut);
    }

    emit(event, ...values) {
        // Without anybody who listens an error would end the process, for something that reading tells as well.
        if (event === 'error' && this.listenerCount('error') === 0) return false;
        return EventEmitter.prototype.emit.call(this, event, ...values);
    }

    /** @protected */
    closed() {
        for (const end of this.#ends) end();
        this.#ends = [];
    }
}
