// The store behind an EventStore: what names stand for, and reads of them.
import { BatchReader, WANT_METADATA, WANT_STREAM } from './batch.js';
import { ALL } from './selector.js';

const KINDS = { stream: 0, category: 1, type: 2, tag: 3 };
// A stream whose name an accessor has made is a tag of its events that begins so.
const MADE = 'stream:';
const TAGS = 'tags/';
const MOST_BYTES = 1024;  // of a name

const engines = new WeakMap();

/** The Engine of an EventStore, or undefined for what only looks like one. */
export function engineOf(eventStore) {
    return engines.get(eventStore);
}

export function tagOfStream(name) {
    return MADE + name;
}

export class Engine {
    compat = false;
    serializer = null;
    durability = 'os';
    /** Those that follow what is committed: objects with a function `notify`. */
    consumers = new Set();
    #watching = false;
    #told = false;

    constructor(native, readOnly, eventStore) {
        this.native = native;
        this.readOnly = readOnly;
        engines.set(eventStore, this);
    }

    /** Also finds it by `other`. */
    belongsTo(other) {
        engines.set(other, this);
    }

    /** The same store, opened anew. */
    reopen(native, readOnly) {
        this.native = native;
        this.readOnly = readOnly;
        this.#watching = false;
    }

    // ---- What comes

    /** From now on those in `consumers` are told of what other processes commit; a writer knows what it commits itself. */
    follow() {
        if (!this.readOnly || this.#watching) return;
        this.#watching = true;
        this.native.watch(() => this.tell());
    }

    /** Tells those that follow, once the caller's turn is over. */
    changed() {
        if (this.#told || this.consumers.size === 0) return;
        this.#told = true;
        process.nextTick(() => {
            this.#told = false;
            this.tell();
        });
    }

    tell() {
        for (const one of [...this.consumers]) one.notify();
    }

    /** The store was closed: nothing comes any more. */
    end() {
        for (const one of [...this.consumers]) one.end?.();
        this.consumers.clear();
    }

    // ---- Names

    /** Number of events. */
    get length() {
        return this.native.published();
    }

    // A name that no stream can have is not looked for.
    #has(set) {
        return Buffer.byteLength(set) <= MOST_BYTES + 1 && this.native.count([set], 1) > 0;
    }

    /** The sets of events that a name stands for, in the addon's spelling: none if there is no such stream. */
    setsOf(name) {
        const sets = [];
        if (typeof name !== 'string' || name === '') return sets;
        if (this.native.version(name) > 0) sets.push(`s${name}`);
        if (this.#has(`t${name}`)) sets.push(`t${name}`);
        if (this.#has(`g${MADE}${name}`)) sets.push(`g${MADE}${name}`);
        if (name.startsWith(TAGS) && name.length > TAGS.length && this.#has(`g${name.slice(TAGS.length)}`))
            sets.push(`g${name.slice(TAGS.length)}`);
        return sets;
    }

    /** The events of a stream by its name: a stream that was written comes before names that accessors made. */
    #setOf(name) {
        const sets = this.setsOf(name);
        return sets.length > 1 ? [...sets, `|${sets.length}`] : sets;
    }

    has(name) {
        return name === ALL || this.setsOf(name).length > 0;
    }

    /** The selector of a consumer of a stream. */
    consumerSets(name) {
        if (name === ALL) return ['*'];
        return this.native.version(name) > 0 ? [`s${name}`] : this.#setOf(name);
    }

    /** Which of the events between two positions that a consumer of a stream gets belong to it; null: all. */
    membership() {
        return null;
    }

    /** Where in the store event number `revision` of a stream is. */
    positionOf(name, revision) {
        const cursor = this.readStream(name, revision, revision, null, null);
        if (!cursor) return 0;
        const reader = new BatchReader(cursor);
        const count = reader.loadTexts();
        reader.close();
        return count > 0 ? reader.positions[0] : 0;
    }

    lengthOf(name) {
        if (name === ALL) return this.length;
        if (typeof name !== 'string') return 0;
        const version = this.native.version(name);
        if (version > 0) return version;
        const set = this.#setOf(name);
        return set.length === 0 ? 0 : this.native.count(set, 0);
    }

    /** Names of all streams, or of those whose first event lies behind a position. */
    names(since = 0) {
        const of = kind => this.native.names(kind, '', '', 0, since).filter((_, n) => n % 2 === 0);
        const tags = of(KINDS.tag).map(tag => tag.startsWith(MADE) ? tag.slice(MADE.length) : TAGS + tag);
        return [...new Set([...of(KINDS.stream), ...of(KINDS.type), ...tags])];
    }

    namesOfCategory(category) {
        const starts = [`${category}-`, `${category}/`];
        return starts.flatMap(prefix => this.native.names(KINDS.stream, prefix, '', 0).filter((_, n) => n % 2 === 0));
    }

    /** A cursor over the revisions `from` … `until` of a stream, in that order. */
    readStream(name, from, until, matcher, streams) {
        if (name === ALL) return this.readSelector(['*'], from, until, matcher, streams);
        const backwards = from > until;
        if (this.native.version(name) > 0) {
            if (streams && !streams.includes(name)) return null;
            return this.native.cursor(name, null, 0, 0, from, until, backwards, 0, 0, matcher);
        }
        const set = this.#setOf(name);
        if (set.length === 0) return null;
        const skip = backwards ? this.native.count(set, 0) - from : from - 1;
        return this.native.cursor(null, set, 0, 0, 0, 0, backwards, skip, Math.abs(until - from) + 1, matcher);
    }

    /** A cursor over the events of a selector between two positions. */
    readSelector(selector, from, until, matcher, streams) {
        if (streams) selector = [...selector, ...streams.map(name => `s${name}`), `|${streams.length}`, '&2'];
        return this.native.cursor(null, selector, from, until, 0, 0, from > until, 0, 0, matcher);
    }

    documentAt(position) {
        const reader = new BatchReader(this.readSelector(['*'], position, position, null, null));
        try {
            if (this.serializer) return reader.loadTexts() > 0 && this.serializer.deserialize(reader.payloads[0]);
            if (reader.load(WANT_METADATA | WANT_STREAM) === 0) return false;
            return { stream: reader.streams[0], payload: reader.payloads[0], metadata: reader.metadata[0] };
        } finally {
            reader.close();
        }
    }
}
