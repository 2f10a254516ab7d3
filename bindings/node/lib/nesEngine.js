// A storage of node-event-storage behind an EventStore or a Consumer, as the engine is for a varve store. It is asked for, never
// filled: streams are files, looked up by their names.
//
// What counts as there: a document whose entry is in the index of all, and whose data are in their partition; the files of a writer come
// one after the other, and those of one that died may never come.
import fs from 'node:fs';
import path from 'node:path';
import { Engine, engineOf } from './engine.js';
import { evaluate } from './lists.js';
import { ReadOnlyStorage } from './lowReadOnly.js';
import { loadMatcher } from './lowMatchers.js';
import { watchBelow } from './lowWatch.js';
import { matches } from './matcher.js';
import { NesConsumer } from './nesConsumer.js';
import { DocumentBatches, numbersOf, placesOf } from './nesReader.js';
import { ALL } from './selector.js';

const CLOSED = '.closed';
const STREAM = 'stream-';  // what names of streams' indexes begin with
const CONSUMERS = 'consumers';
const MOST_CHECKED = 1024;  // documents at the end, when it is opened

/** What is told of streams beside their events, as the journal of a varve store tells it. */
class Catalog {
    #engine;
    #known = null;  // name -> closed
    #news = [];
    #version = 0;
    active = [];
    hidden = new Map();

    constructor(engine) {
        this.#engine = engine;
        this.closed = { has: name => engine.isClosed(name) };
        this.derived = { get: name => engine.definitionOf(name), has: name => engine.has(name), keys: () => engine.names() };
        this.metadata = { get: name => engine.partitionMetadata(name) };
    }

    // Files say by themselves what is: nothing may be kept in mind.
    get version() {
        return ++this.#version;
    }

    refresh() {
        if (!this.#known) return;
        const before = this.#known;
        this.#known = this.#engine.listStreams();
        for (const [stream, closed] of this.#known) {
            if (!before.has(stream)) this.#news.push({ op: 'create', stream });
            if (closed && before.get(stream) !== true) this.#news.push({ op: 'close', stream });
        }
        for (const stream of before.keys()) if (!this.#known.has(stream)) this.#news.push({ op: 'delete', stream });
    }

    keepNews() {
        this.#known ??= this.#engine.listStreams();
    }

    takeNews() {
        return this.#news.splice(0);
    }

    close() {}
}

export class NesEngine extends Engine {
    #files = new Map();  // name of an index -> what file it was when it was opened
    #checked = 0;        // documents that are known to be there
    #counted = -1;       // entries of the index of all, when that was found out
    #ends = null;
    #closed = false;
    format = 'event-storage';
    followedAtOnce = 2048;

    /** `prefix` is what the names of indexes of streams begin with. */
    constructor(low, prefix, eventStore, refusal = '') {
        super(null, true, null, eventStore);
        this.native = this;
        this.journal = new Catalog(this);
        this.low = low;
        this.prefix = prefix;
        this.refusal = refusal;
        this.serializer = low.serializer;
        this.readOnly = typeof low.flush !== 'function';
    }

    refuse(what) {
        throw new Error(`The storage was opened in read-only mode. Can not ${what}. ${this.refusal}`.trim());
    }

    // ---- What Stores of the addon do

    close() {
        if (this.#closed) return;
        this.#closed = true;
        this.#unwatch();
        this.low.close();
    }

    durable() {
        return this.length;
    }

    sync() {
        this.low.flush?.();
    }

    version(name) {
        return this.lengthOf(name);
    }

    // ---- What comes

    follow() {
        if (this.#ends) return;
        const { dataDirectory, indexDirectory } = this.low;
        const inside = !path.relative(dataDirectory, indexDirectory).startsWith('..');
        const roots = inside ? [dataDirectory] : [dataDirectory, indexDirectory];
        this.#ends = roots.map(root => watchBelow(root, (_, name) => {
            if (!name.split('/').includes(CONSUMERS)) this.changed();
        }));
        if (this.readOnly) return;
        const changed = () => this.changed();
        for (const event of ['wrote', 'index-add']) {
            this.low.on(event, changed);
            this.#ends.push(() => this.low.off(event, changed));
        }
    }

    #unwatch() {
        for (const end of this.#ends ?? []) end();
        this.#ends = null;
    }

    end() {
        this.#unwatch();
        super.end();
    }

    // ---- How far it goes

    /** Number of documents that are there. */
    get length() {
        if (this.#closed) throw Object.assign(new Error('The store is closed.'), { code: 'closed' });
        const { index } = this.low;
        index.refresh?.();
        const { length } = index;
        if (length !== this.#counted || this.#checked < length) this.#check(index, length);
        return this.#checked;
    }

    #check(index, length) {
        let good = this.#counted < 0 ? Math.max(0, length - MOST_CHECKED) : Math.min(this.#checked, length);
        const ends = new Map();
        while (good < length && this.#isThere(index.get(good + 1), ends)) ++good;
        this.#checked = good;
        this.#counted = length;
    }

    #isThere({ partition: id, position, size }, ends) {
        if (!ends.has(id)) ends.set(id, this.#endOf(id));
        return position + size <= ends.get(id);
    }

    // Of a partition that is missing or damaged documents are read, which says what is wrong.
    #endOf(id) {
        try {
            const partition = this.low.getPartition(id);
            partition.refresh?.();
            return partition.readable;
        } catch {
            return Infinity;
        }
    }

    // ---- Names

    /** The names of all streams with whether they are closed. */
    listStreams() {
        const streams = new Map();
        for (const name of this.low.indexNames()) {
            if (!name.startsWith(this.prefix)) continue;
            const closed = name.endsWith(CLOSED);
            const stream = name.slice(this.prefix.length, closed ? -CLOSED.length : undefined);
            if (stream !== '') streams.set(stream, closed);
        }
        return streams;
    }

    // Streams that come are told by the catalog.
    names(since = 0) {
        return since > 0 ? [] : [...this.listStreams().keys()];
    }

    namesOfCategory(category) {
        return this.names().filter(name => name.startsWith(`${category}-`) || name.startsWith(`${category}/`));
    }

    // Which file an index has at the moment; empty if there is none.
    #fileOf(name) {
        try {
            return String(fs.statSync(path.join(this.low.indexDirectory, this.low.indexFileOf(name)), { throwIfNoEntry: false })?.ino ?? '');
        } catch {
            return '';  // a name that no file has
        }
    }

    /** The index of a stream, as it is now; null if there is none. */
    indexOf(stream) {
        if (stream === ALL) return this.low.index;
        if (typeof stream !== 'string' || stream === '') return null;
        const name = this.prefix + stream;
        return this.#index(name, (known, own) => known.openIndex(own), 'secondaryIndexes')
            ?? this.#index(name + CLOSED, (known, own) => known.openReadonlyIndex(own), 'readonlyIndexes');
    }

    #index(name, open, list) {
        const file = this.#fileOf(name);
        // Renamed, removed or made anew by its writer.
        if (this.readOnly && this.#files.has(name) && this.#files.get(name) !== file) {
            this.low[list][name]?.index.close();
            delete this.low[list][name];
            this.low.removeSecondaryIndex(name);
            this.#files.delete(name);
        }
        if (file === '') return null;
        this.#files.set(name, file);
        const index = open(this.low, name);
        index.refresh?.();
        return index;
    }

    isClosed(stream) {
        return typeof stream === 'string' && stream !== '' && this.#fileOf(this.prefix + stream) === '' && this.#fileOf(this.prefix + stream + CLOSED) !== '';
    }

    has(name) {
        return this.indexOf(name) !== null;
    }

    setsOf(name) {
        return this.has(name) ? [name] : [];
    }

    lengthOf(name) {
        if (name === ALL) return this.length;
        const index = this.indexOf(name);
        if (!index) return 0;
        const { length } = this;
        const last = index.lastEntry;
        return last === false ? 0 : last.number <= length ? index.length : index.find(length);
    }

    /** What the index of a stream says which events it has; functions as their text. */
    definitionOf(name) {
        const index = name === ALL ? null : this.indexOf(name);
        if (!index) return undefined;
        const { matcher, hmac } = index.metadata;
        return { name, stored: matcher, matcher: typeof matcher === 'string' ? null : matcher, hmac, past: [] };
    }

    /** Metadata of the partition of that name. */
    partitionMetadata(name) {
        try {
            const { epoch: _, ...metadata } = this.low.getPartition(name).metadata;
            return metadata;
        } catch {
            return undefined;  // a stream without a partition of its own
        }
    }

    // ---- Reads

    readStream(name, from, until) {
        const index = this.indexOf(name);
        return index && new DocumentBatches(this.low, placesOf(index, from, until));
    }

    readNames(selector, from, until, _matcher, _streams, complete) {
        if (typeof selector === 'string' && (!complete || selector === ALL)) return this.#readName(selector, from, until);
        const listOf = complete ? this.#completeListOf : this.listOf;
        const list = evaluate(selector, 0, name => listOf.call(this, name, Math.min(from, until), Math.max(from, until)));
        return new DocumentBatches(this.low, numbersOf(this.low.index, from > until ? list.reverse() : list));
    }

    #readName(name, from, until) {
        const index = this.indexOf(name);
        const [low, high] = this.#places(index, name, Math.min(from, until), Math.max(from, until));
        if (low === 0 || low > high) return null;
        return new DocumentBatches(this.low, from > until ? placesOf(index, high, low) : placesOf(index, low, high));
    }

    // The places in an index of the documents between two numbers.
    #places(index, name, from, until) {
        if (!index || this.lengthOf(name) === 0) return [0, 0];
        return [index.find(from, true), index.find(Math.min(until, this.length))];
    }

    needsLists() {
        return false;
    }

    listOf(name, from, until) {
        const index = this.indexOf(name);
        const [low, high] = this.#places(index, name, from, until);
        return low === 0 || low > high ? new Float64Array(0) : Float64Array.from(index.range(low, high), entry => entry.number);
    }

    // Indexes are written when their writer gets round to it, the one of all documents among the first. What is behind the last entry
    // of a stream's is decided by its matcher.
    #completeListOf(name, from, until) {
        const index = name === ALL ? null : this.indexOf(name);
        if (!index || this.isClosed(name)) return this.listOf(name, from, until);
        const last = index.lastEntry === false ? 0 : index.lastEntry.number;
        const found = Array.from(last < from ? [] : index.range(index.find(from, true), index.find(until)) || [], entry => entry.number);
        const matcher = from <= until && last < until ? loadMatcher(index.metadata, this.low.hmacSecret) : null;
        for (let number = Math.max(from, last + 1); number <= until; ++number) if (matches(this.low.read(number), matcher)) found.push(number);
        return Float64Array.from(found);
    }

    documentAt(position) {
        return this.low.read(position);
    }

    // ---- Consumers

    #consumerFile(stream, identifier) {
        const index = stream === ALL ? ALL : this.prefix + stream;
        return path.join(this.low.indexDirectory, CONSUMERS, `${this.low.storageFile}.${index}.${identifier}`);
    }

    openConsumer(stream, identifier, place) {
        if (/[/\0]/.test(identifier)) throw new Error(`The identifier ${JSON.stringify(identifier)} can not be part of a file's name.`);
        return new NesConsumer(this, stream, this.#consumerFile(stream, identifier), place);
    }

    membership() {
        return null;
    }

    positionOf(name, revision) {
        const entry = this.indexOf(name)?.get(revision);
        return entry ? entry.number : 0;
    }

    /** `{name, stream, identifier}` of all consumers that have a file. */
    consumerNames() {
        const directory = path.join(this.low.indexDirectory, CONSUMERS);
        if (!fs.existsSync(directory)) return [];
        const files = new Set(fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
            .map(entry => path.relative(directory, path.join(entry.parentPath ?? entry.path, entry.name))));
        // What is written beside a file, or was when its process died.
        return [...files].filter(file => !files.has(file.replace(/\.\d+$/, '')) || !/\.\d+$/.test(file)).map(file => this.#parse(file)).filter(Boolean);
    }

    #parse(file) {
        const begin = `${this.low.storageFile}.`;
        const found = file.startsWith(begin) && /^(.+)\.([^./]+)$/s.exec(file.slice(begin.length));
        if (!found) return null;
        const [name, index, identifier] = found;
        if (index === ALL) return { name, stream: ALL, identifier };
        return index.startsWith(this.prefix) ? { name, stream: index.slice(this.prefix.length), identifier } : null;
    }
}

/** The engine of a Storage of event-storage's files, whose indexes go by their own names. */
export function engineOfStorage(storage) {
    const known = engineOf(storage);
    if (known) return known;
    const engine = new NesEngine(storage, '', storage);
    storage.on('closed', () => {
        engine.stopConsumers();
        engine.end();
    });
    return engine;
}

/** Whether event-storage has written there what no varve store was made of. */
export function isOfEventStorage(place, index) {
    return !fs.existsSync(place) && fs.existsSync(index);
}

function openStorage(storeName, config, index) {
    try {
        return new ReadOnlyStorage(storeName, config);
    } catch (error) {
        if (!error.message.includes(index)) error.message = `${index}: ${error.message}`;
        throw error;
    }
}

/** The engine of an EventStore over the files of event-storage in its directories. */
export function openFiles(eventStore, place, index) {
    const { storeName, storageDirectory, streamsDirectory, storageConfig } = eventStore;
    const low = openStorage(storeName, { ...storageConfig, dataDirectory: storageDirectory, indexDirectory: streamsDirectory }, index);
    return new NesEngine(low, STREAM, eventStore, `${index} belongs to a store that event-storage has written, which is read as it is. ` +
        `Open it with convert: true, and a varve store is made of it, or with: npx varve import ${place} --from node-event-storage ` +
        `${storageDirectory} --name ${storeName}`);
}
