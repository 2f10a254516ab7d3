// The store behind an EventStore: what names stand for, and reads of them.
import { BatchReader, documentOf, loadDocuments } from './batch.js';
import { CursorChain, between, evaluate, holds, joined } from './lists.js';
import { matches, split } from './matcher.js';
import { ALL, encodeSelector } from './selector.js';

const KINDS = { stream: 0, category: 1, type: 2, tag: 3 };
// A stream whose name an accessor has made is a tag of its events that begins so.
// No accessor makes a tag with a colon in front, so no value of a payload can pose as one.
const MADE = ':stream:';
const TAGS = 'tags/';
const MOST_BYTES = 1024;  // of a name
const MOST_KNOWN = 20_000;  // sets that are kept in mind

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
    format = 'varve';
    /** Events that are looked at before others get their turn. */
    followedAtOnce = Infinity;
    serializer = null;
    durability = 'os';
    /** Those that follow what is committed: objects with a function `notify`. */
    consumers = new Set();
    #watching = false;
    #known = new Set();  // sets that have events
    #told = false;

    constructor(native, readOnly, journal, eventStore) {
        this.native = native;
        this.readOnly = readOnly;
        this.journal = journal;
        engines.set(eventStore, this);
    }

    /** Also finds it by its storage. */
    belongsTo(storage) {
        this.storage = storage;
        engines.set(storage, this);
    }

    /** The same store, opened anew. */
    reopen(native, readOnly, journal) {
        this.native = native;
        this.readOnly = readOnly;
        this.journal = journal;
        this.#watching = false;
        this.#known.clear();
        for (const one of this.consumers) one.reopened?.();
        if (this.consumers.size > 0) this.follow();
    }

    /** What a store that is only read answers to who would change it. */
    refuse(what) {
        throw new Error(`The storage was opened in read-only mode. Can not ${what}.`);
    }

    /** Stops all consumers, however they were made; what the first of them threw is thrown when all are stopped. */
    stopConsumers() {
        const thrown = [];
        for (const one of [...this.consumers]) {
            try {
                one.stop?.();
            } catch (error) {
                thrown.push(error);
            }
        }
        if (thrown.length > 0) throw thrown[0];
    }

    /** Calls the hooks `preRead` with a position and the metadata of a stream; null if there are none. */
    readHook() {
        const { storage } = this;
        if (!storage || storage.listenerCount('preRead') === 0) return null;
        return (position, stream) => storage.emit('preRead', position, this.metadataOf(stream));
    }

    /** What is known of a stream by `streamMetadata`. */
    metadataOf(stream) {
        this.journal.refresh();
        return this.journal.metadata.get(stream) ?? {};
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

    // A name that no stream can have is not looked for. What has an event once has one for ever.
    #has(set) {
        if (this.#known.has(set)) return true;
        if (Buffer.byteLength(set) > MOST_BYTES + 1 || this.native.count([set], 1) === 0) return false;
        if (this.#known.size >= MOST_KNOWN) this.#known.clear();
        this.#known.add(set);
        return true;
    }

    #derived(name) {
        this.journal.refresh();
        return this.journal.derived.get(name);
    }

    /** The sets of events that a name stands for, in the addon's spelling: none if there is no such stream. */
    setsOf(name) {
        const sets = [];
        if (typeof name !== 'string' || name === '') return sets;
        const derived = this.#derived(name);
        if (derived) return [`g${derived.tag}`];
        return this.journal.hidden.has(name) ? sets : this.#setsWritten(name);
    }

    /** Those that events were given when they were committed, also of a stream that was deleted. */
    #setsWritten(name) {
        const sets = [];
        if (this.native.version(name) > 0) sets.push(`s${name}`);
        if (this.#has(`t${name}`)) sets.push(`t${name}`);
        if (this.#has(`g${MADE}${name}`)) sets.push(`g${MADE}${name}`);
        if (name.startsWith(TAGS) && name.length > TAGS.length && this.#has(`g${name.slice(TAGS.length)}`))
            sets.push(`g${name.slice(TAGS.length)}`);
        return sets;
    }

    /** Streams that got an event after they were deleted are there again, also if the process died before it could say so. */
    restoreWritten() {
        for (const [name, after] of [...this.journal.hidden]) {
            if (after === undefined || after >= this.length) continue;
            const sets = this.#setsWritten(name);
            if (sets.length === 0) continue;
            const since = this.native.positions([...sets, `|${sets.length}`], after + 1, 0, null);
            if (since.length > 0) this.journal.restoreStream(name);
        }
    }

    // The number of events of a stream that was written, as such; 0 for others.
    #written(name) {
        return this.#derived(name) || this.journal.hidden.has(name) ? 0 : this.native.version(name);
    }

    /** The events of a stream by its name: a stream that was written comes before names that accessors made. */
    #setOf(name) {
        const sets = this.setsOf(name);
        return sets.length > 1 ? [...sets, `|${sets.length}`] : sets;
    }

    has(name) {
        return name === ALL || this.#derived(name) !== undefined || this.setsOf(name).length > 0;
    }

    lengthOf(name) {
        if (name === ALL) return this.length;
        if (typeof name !== 'string') return 0;
        const version = this.#written(name);
        if (version > 0) return version;
        const set = this.#setOf(name);
        return (this.#derived(name)?.past.length ?? 0) + (set.length === 0 ? 0 : this.native.count(set, 0));
    }

    /** Names of all streams, or of those whose first event lies behind a position. */
    names(since = 0) {
        this.journal.refresh();
        const of = kind => this.native.names(kind, '', '', 0, since).filter((_, n) => n % 2 === 0);
        const tags = of(KINDS.tag).filter(tag => !this.journal.isDerivedTag(tag))
            .map(tag => tag.startsWith(MADE) ? tag.slice(MADE.length) : TAGS + tag);
        const derived = since > 0 ? [] : this.journal.derived.keys();
        return [...new Set([...of(KINDS.stream), ...of(KINDS.type), ...tags, ...derived])].filter(name => !this.journal.hidden.has(name));
    }

    namesOfCategory(category) {
        const starts = [`${category}-`, `${category}/`];
        const written = starts.flatMap(prefix => this.native.names(KINDS.stream, prefix, '', 0, 0).filter((_, n) => n % 2 === 0));
        this.journal.refresh();
        const derived = [...this.journal.derived.keys()].filter(name => starts.some(prefix => name.startsWith(prefix)));
        return [...new Set([...written, ...derived])].filter(name => !this.journal.hidden.has(name));
    }

    /** The selector of a consumer of a stream. */
    consumerSets(name) {
        if (name === ALL || this.#derived(name)?.past.length > 0) return ['*'];
        return this.#written(name) > 0 ? [`s${name}`] : this.#setOf(name);
    }

    /** Which of the events between two positions that a consumer of a stream gets belong to it; null: all. */
    membership(name, from, until) {
        const derived = this.#derived(name);
        if (!derived || derived.past.length === 0) return null;
        const members = this.listOf(name, from, until);
        return position => holds(members, position);
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

    /** A cursor over the revisions `from` … `until` of a stream, in that order. */
    readStream(name, from, until, matcher, streams) {
        if (name === ALL) return this.readSelector(['*'], from, until, matcher, streams);
        const backwards = from > until;
        const derived = this.#derived(name);
        if (derived) return this.#readDerived(derived, from, until, matcher);
        if (this.#written(name) > 0) {
            if (streams && !streams.includes(name)) return null;
            return this.native.cursor(name, null, 0, 0, from, until, backwards, 0, 0, matcher);
        }
        const set = this.#setOf(name);
        return set.length === 0 ? null : this.#readSet(set, from, until, matcher);
    }

    #readSet(set, from, until, matcher) {
        return this.native.cursor(null, set, 0, 0, 0, 0, from > until, from, Math.abs(until - from) + 1, matcher);
    }

    // First what was there when it was made, then what carries its tag; or the other way round.
    #readDerived({ past, tag }, from, until, matcher) {
        const backwards = from > until;
        const [low, high] = backwards ? [until, from] : [from, until];
        const parts = [];
        if (low <= past.length) {
            const positions = past.slice(low - 1, Math.min(high, past.length));
            parts.push(() => this.native.cursorAt(backwards ? positions.reverse() : positions, matcher));
        }
        if (high > past.length) {
            const [first, last] = [Math.max(1, low - past.length), high - past.length];
            parts.push(() => backwards ? this.#readSet([`g${tag}`], last, first, matcher) : this.#readSet([`g${tag}`], first, last, matcher));
        }
        return new CursorChain(backwards ? parts.reverse() : parts);
    }

    /** A cursor over the events of a selector of the addon between two positions. */
    readSelector(selector, from, until, matcher, streams) {
        if (streams) selector = [...selector, ...streams.map(name => `s${name}`), `|${streams.length}`, '&2'];
        return this.native.cursor(null, selector, from, until, 0, 0, from > until, 0, 0, matcher);
    }

    /** The same of a selector of names. */
    readNames(selector, from, until, matcher, streams) {
        if (!this.needsLists(selector, 0))
            return this.readSelector(encodeSelector(selector, name => this.setsOf(name)), from, until, matcher, streams);
        const list = evaluate(selector, 0, name => this.listOf(name, Math.min(from, until), Math.max(from, until)));
        return this.native.cursorAt(from > until ? list.toReversed() : list, matcher);
    }

    /** Whether some of its names has events up to a position behind `after` that only a list knows. */
    needsLists(selector, after) {
        if (Array.isArray(selector)) return selector.some(one => this.needsLists(one, after));
        const past = this.#derived(selector)?.past;
        return past !== undefined && past.length > 0 && past[past.length - 1] > after;
    }

    /** Positions of the events of a name between two positions. */
    listOf(name, from, until) {
        const derived = this.#derived(name);
        const set = name === ALL ? ['*'] : this.#setOf(name);
        const behind = set.length === 0 ? new Float64Array(0) : this.native.positions(set, from, until, null);
        if (!derived) return behind;
        return joined(between(derived.past, from, until), behind);
    }

    /** Positions up to now of what satisfies a matcher. */
    matching(matcher) {
        const own = typeof matcher === 'object' && !this.serializer ? split(matcher) : null;
        const set = own?.streams ? [...own.streams.map(name => `s${name}`), `|${own.streams.length}`] : ['*'];
        if (own?.complete) return this.native.positions(set, 0, 0, own.engine);
        const found = [];
        const reader = new BatchReader(this.native.cursor(null, set, 0, 0, 0, 0, false, 0, 0, own?.engine ?? null));
        for (let count; (count = loadDocuments(reader, this.serializer)) > 0;)
            for (let n = 0; n < count; ++n) if (matches(documentOf(reader, n, this.serializer), matcher)) found.push(reader.positions[n]);
        return Float64Array.from(found);
    }

    documentAt(position) {
        const reader = new BatchReader(this.readSelector(['*'], position, position, null, null));
        try {
            return loadDocuments(reader, this.serializer) > 0 && documentOf(reader, 0, this.serializer);
        } finally {
            reader.close();
        }
    }
}
