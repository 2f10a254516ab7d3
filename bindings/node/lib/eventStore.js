// EventStore: commits and reads of one store, as event-storage offers them.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Consumer, parseConsumerName } from './consumer.js';
import { Engine } from './engine.js';
import { StorageLockedError, conditionConflict, invalidArgument, versionConflict } from './errors.js';
import { EventStream, JoinEventStream } from './eventStream.js';
import { Following } from './follow.js';
import { toJson } from './json.js';
import { split } from './matcher.js';
import { Store } from './native.js';
import { ALL, CommitCondition, compileDcbQuery, encodeSelector, isDcbQuery, normaliseSelector } from './selector.js';
import { readAccessors } from './sources.js';
import { EngineStorage } from './storage.js';
import { streamsOf } from './streams.js';

export const ExpectedVersion = Object.freeze({ Any: -1, EmptyStream: 0 });

const RESERVED = ['commitId', 'committedAt', 'commitVersion', 'commitSize', 'streamVersion'];
const DURABILITY = ['os', 'interval', 'disk'];

function expand(directory) {
    return path.resolve(directory.startsWith('~/') ? path.join(os.homedir(), directory.slice(2)) : directory);
}

function durabilityOf(config, storageConfig) {
    const level = config.durability ?? (storageConfig.syncOnFlush ? 'disk' : 'os');
    if (!DURABILITY.includes(level)) throw invalidArgument(`durability must be one of ${DURABILITY.join(', ')}, got ${level}`);
    return level;
}

/** Opens the store of the addon, with the errors that event-storage has. */
function openNative(place, name, readOnly, durability) {
    try {
        return new Store(place, readOnly, !readOnly, durability);
    } catch (error) {
        if (error.code === 'locked') throw new StorageLockedError(`Storage ${name} is locked by another process`, error.message);
        throw error;
    }
}

/** What every commit is told to do, however its arguments were given. */
function commitArguments(events, expectedVersion, metadata, callback) {
    if (typeof expectedVersion !== 'number' && !(expectedVersion instanceof CommitCondition)) {
        [metadata, callback] = [expectedVersion, metadata];
        expectedVersion = ExpectedVersion.Any;
    }
    if (typeof metadata !== 'object') {
        callback = metadata;
        metadata = {};
    }
    return {
        events: Array.isArray(events) ? events : [events],
        expectedVersion,
        metadata: metadata ?? {},
        callback: typeof callback === 'function' ? callback : null,
    };
}

export class EventStore extends EventEmitter {
    #engine;
    #native;
    #readOnly;
    #accessors;
    #results = new Float64Array(1);
    #flushed = [];
    #closed = false;
    #place = '';
    #durability = 'os';
    #ready = false;
    #watch = null;      // of a reader: tells of streams that come

    constructor(storeName = 'eventstore', config = {}) {
        super();
        if (typeof storeName !== 'string') {
            config = storeName ?? {};
            storeName = 'eventstore';
        }
        this.storeName = storeName;
        this.storageConfig = { ...config.storageConfig };
        this.storageDirectory = expand(this.storageConfig.dataDirectory ?? config.storageDirectory ?? './data');
        this.streamsDirectory = expand(this.storageConfig.indexDirectory ?? config.streamsDirectory ?? path.join(this.storageDirectory, 'streams'));
        this.#accessors = readAccessors(config);
        this.streamSources = this.#accessors.streamSources;
        this.typeSource = this.#accessors.type;
        this.tagsSource = this.#accessors.tags;
        this.#readOnly = Boolean(config.readOnly || this.storageConfig.readOnly);
        this.#open(config);
    }

    #open(config) {
        const place = path.join(this.storageDirectory, `${this.storeName}.varve`);
        const old = path.join(this.streamsDirectory, `${this.storeName}.index`);
        if (!fs.existsSync(place) && fs.existsSync(old))
            throw new Error(`${old} belongs to a store that event-storage has written. Make a varve store of it with: ` +
                `varve import ${place} --from node-event-storage ${this.storageDirectory} --name ${this.storeName}`);
        if (!this.#readOnly) fs.mkdirSync(this.storageDirectory, { recursive: true });
        this.#place = place;
        this.#durability = durabilityOf(config, this.storageConfig);
        this.#native = openNative(place, this.storeName, this.#readOnly, this.#durability);
        this.#engine = new Engine(this.#native, this.#readOnly, this);
        this.#engine.durability = this.#durability;
        this.#engine.compat = Boolean(config.compat);
        this.#engine.serializer = this.storageConfig.serializer ?? null;
        this.consumers = new Map();
        this.streams = streamsOf(this.#engine, name => this.#matcherOf(name));
        this.storage = new EngineStorage(this.#engine, this);
        setImmediate(() => {
            if (this.#closed) return;
            this.#ready = true;
            this.#announce();
            this.emit('ready');
            this.storage.emit('opened');
        });
    }

    /** Tells of streams, and in a reader of those that come from now on. */
    #announce() {
        if (this.listenerCount('stream-available') === 0) return;
        if (this.#readOnly) this.#watchStreams();
        for (const name of this.#engine.names()) this.emit('stream-available', name);
    }

    #watchStreams() {
        let seen = this.#engine.length;
        const notify = () => {
            const before = seen;
            seen = this.#engine.length;
            if (seen > before) for (const name of this.#engine.names(before)) this.emit('stream-available', name);
        };
        this.#watch = { notify };
        this.#engine.consumers.add(this.#watch);
        this.#engine.follow();
    }

    /** A listener that comes after `ready` is told of what comes after it. */
    on(event, listener) {
        super.on(event, listener);
        if (event === 'stream-available' && this.#ready && this.#readOnly && !this.#watch) this.#watchStreams();
        return this;
    }

    addListener(event, listener) {
        return this.on(event, listener);
    }

    /** Number of events. */
    get length() {
        return this.#engine.length;
    }

    get readOnly() {
        return this.#readOnly;
    }

    /**
     * Gives up writing: other processes may write from then on. What they commit is there like one's own; consumers are to be got
     * anew. `callback` is called when it is done.
     */
    makeReadOnly(callback = () => {}) {
        if (!this.#readOnly) {
            this.#stopConsumers();
            this.#native.close();
            this.#readOnly = true;
            this.#native = openNative(this.#place, this.storeName, true, this.#durability);
            this.#engine.reopen(this.#native, true);
            if (this.listenerCount('stream-available') > 0) this.#watchStreams();
        }
        callback();
    }

    /**
     * Documents that are there behind event number `since` (of the store), then those that come: an asynchronous iterable without
     * an end, but for that of the store or of `signal`. `selector` is a name or a selector.
     */
    follow(selector = ALL, { since = 0, signal = null, raw = false } = {}) {
        return new Following(this, this.#engine, selector, { since, signal, raw });
    }

    close() {
        if (this.#closed) return;
        this.#closed = true;
        this.#stopConsumers();
        this.#native.close();
        this.#engine.end();
        this.storage.emit('closed');
    }

    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
        this.close();
    }

    // ---- Commits

    commit(streamName, events, expectedVersion = ExpectedVersion.Any, metadata = {}, callback = null) {
        if (this.#readOnly) throw new Error('The storage was opened in read-only mode. Can not commit to it.');
        if (typeof streamName !== 'string' || streamName === '') throw new Error('Must specify a stream name for commit.');
        if (events === undefined || events === null) throw new Error('No events specified for commit.');
        const asked = commitArguments(events, expectedVersion, metadata, callback);
        if (asked.events.length === 0) return;
        const condition = asked.expectedVersion instanceof CommitCondition ? this.#guard(asked.expectedVersion) : null;
        const expected = typeof asked.expectedVersion === 'number' ? this.#expected(streamName, asked.expectedVersion) : ExpectedVersion.Any;
        const names = this.#accessors.namesOf(asked.events);
        const newNames = this.#newNames(streamName, names);
        const committedAt = Date.now();
        const { texts, members, whole } = this.#write(streamName, asked, committedAt);
        const commitId = this.#append(streamName, texts, names, members, whole, committedAt, expected, condition) - 1;
        this.#engine.changed();
        this.#report(streamName, asked, newNames, { commitId, committedAt, streamVersion: this.#results[0] });
    }

    #expected(streamName, version) {
        if (version === ExpectedVersion.Any || (Number.isSafeInteger(version) && version >= 0)) return version;
        throw versionConflict(streamName, version, Math.max(0, this.getStreamVersion(streamName)));
    }

    /** The condition for the addon; null if JavaScript has looked already, or if nothing came since. */
    #guard({ selector, types, matcher, noneMatchAfter, raw }) {
        const asked = selector ?? types;
        if (this.#engine.length <= noneMatchAfter) return null;
        const own = typeof matcher === 'object' && matcher !== null && !this.#engine.serializer ? split(matcher) : null;
        if (matcher && !(own?.complete && own.streams === null)) {
            const conflict = new JoinEventStream('_condition', asked, this, noneMatchAfter + 1, -1, matcher, raw).next();
            if (conflict !== false) throw conditionConflict({ event: raw ? JSON.parse(conflict.buffer) : conflict });
            return null;
        }
        const sets = encodeSelector(normaliseSelector(asked), name => this.#engine.setsOf(name));
        return [sets, noneMatchAfter, 0, own?.engine ?? null];
    }

    /** Texts of the events, and what their metadata is made of: members for all of them, or a text for each. */
    #write(streamName, { events, metadata }, committedAt) {
        if (events.length > 1 && 'commitVersion' in metadata) delete metadata.commitVersion;
        const keys = Object.keys(metadata);
        const { serializer } = this.#engine;
        const hooked = this.storage.listenerCount('preCommit') > 0;
        if (!serializer && !hooked && !keys.some(key => RESERVED.includes(key))) {
            const members = keys.length === 0 ? '' : toJson({ ...metadata }, 'metadata').slice(1, -1);
            const texts = new Array(events.length);
            for (let n = 0; n < events.length; ++n) texts[n] = toJson(events[n], events.length > 1 ? `events[${n}]` : 'payload');
            return { texts, members, whole: null };
        }
        const documents = this.#documents(streamName, events, metadata, committedAt);
        if (hooked) for (const document of documents) this.storage.emit('preCommit', document, {});
        const whole = documents.map(document => toJson(document.metadata, 'metadata'));
        const texts = documents.map(document => serializer ? serializer.serialize(document).toString() : toJson(document.payload, 'payload'));
        return { texts, members: '', whole };
    }

    /** The events as they will be read. */
    #documents(stream, events, metadata, committedAt) {
        const commitId = this.length;
        const version = this.#native.version(stream);
        return events.map((payload, n) => ({
            stream,
            payload,
            metadata: { commitId, committedAt, commitVersion: n, commitSize: events.length, ...metadata, streamVersion: version + n },
        }));
    }

    #append(streamName, texts, names, members, whole, committedAt, expected, condition) {
        try {
            return this.#native.commit(streamName, texts, names.types, names.tags, members, whole, committedAt, expected, condition,
                null, this.#results);
        } catch (error) {
            if (error.code === 'wrong_expected_version') throw versionConflict(streamName, expected, error.version);
            if (error.code === 'condition_failed') {
                const { position, type, tags, stream } = error;
                throw conditionConflict({ position, stream, type, tags, event: this.#engine.documentAt(position) });
            }
            throw error;
        }
    }

    /** Tells of a commit: of new streams now, of the commit itself when the caller's turn is over. */
    #report(streamName, { events, metadata, callback }, newNames, { commitId, committedAt, streamVersion }) {
        for (const name of newNames) {
            this.emit('stream-available', name);
            this.emit('stream-created', name);
        }
        if (callback === null && this.listenerCount('commit') === 0) return;
        this.#flushed.push({ commit: { commitId, committedAt, ...metadata, streamName, streamVersion, events }, callback });
        if (this.#flushed.length === 1) process.nextTick(() => this.#flush());
    }

    /** Names that no event has yet; looked for only if somebody wants to know. */
    #newNames(streamName, names) {
        if (this.listenerCount('stream-created') === 0 && this.listenerCount('stream-available') === 0) return [];
        return [...new Set([streamName, ...names.streams])].filter(name => !this.#engine.has(name));
    }

    #flush() {
        const flushed = this.#flushed;
        this.#flushed = [];
        for (const { commit, callback } of flushed) {
            this.emit('commit', commit);
            callback?.(commit);
        }
    }

    // ---- Reads

    /** Number of events of a stream; -1 if there is no such stream. */
    getStreamVersion(streamName) {
        const length = this.#engine.lengthOf(streamName);
        return length > 0 || streamName === ALL ? length : -1;
    }

    getEventStream(streamName, minRevision = 1, maxRevision = -1, predicate = null, raw = false) {
        if (!(streamName in this.streams)) return false;
        return new EventStream(streamName, this, minRevision, maxRevision, predicate, raw);
    }

    getAllEvents(minRevision = 1, maxRevision = -1, predicate = null, raw = false) {
        return this.getEventStream(ALL, minRevision, maxRevision, predicate, raw);
    }

    fromStreams(streamName, selector, minRevision = 1, maxRevision = -1, predicate = null, raw = false) {
        if (!Array.isArray(selector)) throw new Error('Must specify an array of stream names.');
        return new JoinEventStream(streamName, selector, this, minRevision, maxRevision, predicate, raw);
    }

    getEventStreamForCategory(category, minRevision = 1, maxRevision = -1, predicate = null, raw = false) {
        if (category in this.streams) return this.getEventStream(category, minRevision, maxRevision, predicate, raw);
        const names = this.#engine.namesOfCategory(category);
        if (names.length === 0) throw new Error(`No streams for category '${category}' exist.`);
        return this.fromStreams(category, names, minRevision, maxRevision, predicate, raw);
    }

    /**
     * The events of a selector or of `{items: [{types, tags}]}`, and the condition that nothing more of them was committed since.
     */
    query(selectorOrQuery, matcher = null, minRevision = 1, raw = false) {
        const selector = isDcbQuery(selectorOrQuery)
            ? compileDcbQuery(selectorOrQuery, { types: this.typeSource, tags: this.tagsSource }) : selectorOrQuery;
        if (!Array.isArray(selector) || selector.length === 0)
            throw new Error('Must specify a non-empty array of stream selectors for query.');
        const normal = normaliseSelector(selector);
        const condition = new CommitCondition(typeof normal === 'string' ? [normal] : normal, matcher, this.length, raw);
        const stream = new JoinEventStream(`_query_${Date.now()}`, normal, this, minRevision, -1, matcher, raw);
        return { stream, condition };
    }

    // ---- Consumers

    /**
     * The consumer `identifier` of a stream, which goes on where it was; with one argument the one that this store has under that
     * identifier, or null.
     */
    getConsumer(streamName, identifier, initialState = {}, since = 0) {
        if (identifier === undefined) return this.consumers.get(streamName) ?? null;
        const known = this.consumers.get(identifier);
        if (known && !known.destroyed && known.streamName === streamName) return known;
        known?.stop();
        const consumer = new Consumer(this.storage, streamName === ALL ? ALL : `stream-${streamName}`, identifier, initialState, since);
        this.consumers.set(identifier, consumer);
        return consumer;
    }

    /** All consumers that this store has had: `callback(null, [{name, stream, identifier}, …])`. */
    scanConsumers(callback, autoStart = false) {
        const found = this.#native.consumers().map(parseConsumerName).filter(one => one !== null);
        if (autoStart) for (const { stream, identifier } of found) this.getConsumer(stream, identifier);
        callback(null, found);
    }

    #stopConsumers() {
        for (const consumer of this.consumers.values()) consumer.stop();
        this.consumers.clear();
    }

    #matcherOf(name) {
        return this.#native.version(name) > 0 ? { stream: name } : this.#accessors.matcherOf(name);
    }
}
