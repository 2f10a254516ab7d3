// EventStore: commits and reads of one store, as event-storage offers them.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { GroupSync, LongCalls } from './background.js';
import { Consumer, parseConsumerName } from './consumer.js';
import { convert } from './convert.js';
import { Router } from './derive.js';
import { Engine } from './engine.js';
import { conditionConflict, invalidArgument, versionConflict } from './errors.js';
import { EventStream, JoinEventStream } from './eventStream.js';
import { Following } from './follow.js';
import { Journal } from './journal.js';
import { checkNulls, membersOf, toJson, toText } from './json.js';
import { split } from './matcher.js';
import { isOfEventStorage, openFiles } from './nesEngine.js';
import { COMMIT, ExpectedVersion, checkStreamName, commitArguments, durabilityOf, expand, openNative } from './options.js';
import { ALL, CommitCondition, compileDcbQuery, encodeSelector, isDcbQuery, normaliseSelector } from './selector.js';
import { readAccessors } from './sources.js';
import { EngineStorage } from './storage.js';
import { streamsOf } from './streams.js';

const RESERVED = ['commitId', 'committedAt', 'commitVersion', 'commitSize', 'streamVersion'];
const LOCK_RECLAIM = 1;
const NEWS = { create: 'stream-available', close: 'stream-closed', delete: 'stream-deleted' };
const HOOKS = ['preCommit', 'preRead'];

export class EventStore extends EventEmitter {
    #engine;
    #native;
    #readOnly;
    #accessors;
    #numbers = new Float64Array(COMMIT.length);
    #flushed = [];      // of each commit what is told of it, and whom besides
    #closed = false;
    #journal;
    #router = new Router();
    #metadataSource = null;
    #described = new Set();
    #place = '';
    #durability = 'os';
    #ready = false;
    #syncs = null;      // of a writer
    #calls = new LongCalls();
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
        const everywhere = this.storageConfig.metadata;
        this.#metadataSource = typeof everywhere === 'object' && everywhere !== null ? () => everywhere : everywhere ?? config.streamMetadata ?? null;
        this.#open(config);
    }

    #open(config) {
        const place = path.join(this.storageDirectory, `${this.storeName}.varve`);
        const old = path.join(this.streamsDirectory, this.storageConfig.indexFile ?? `${this.storeName}.index`);
        if (isOfEventStorage(place, old)) {
            if (this.#readOnly || !config.convert) return this.#openFiles(config, place, old);
            const { storeName, storageDirectory, streamsDirectory, storageConfig: { hmacSecret: secret = '', lock } } = this;
            convert({ place, storeName, storageDirectory, streamsDirectory, secret }, this.#accessors, lock === LOCK_RECLAIM);
        }
        if (!this.#readOnly) fs.mkdirSync(this.storageDirectory, { recursive: true });
        this.#place = place;
        this.#durability = durabilityOf(config, this.storageConfig);
        this.#native = openNative(place, this.storeName, this.#readOnly, this.#durability, this.#numbers);
        this.#engine = new Engine(this.#native, this.#readOnly, this.#openJournal(), this);
        this.#engine.durability = this.#durability;
        if (!this.#readOnly) this.#syncs = new GroupSync(this.#native, this.#journal, place);
        this.#engine.compat = Boolean(config.compat);
        this.#engine.serializer = this.storageConfig.serializer ?? null;
        if (!this.#readOnly) this.#engine.restoreWritten();
        this.#begin();
    }

    /** What event-storage has written is read as it is. */
    #openFiles(config, place, old) {
        this.#readOnly = true;
        this.#native = this.#engine = openFiles(this, place, old);
        this.#engine.compat = Boolean(config.compat);
        this.#journal = this.#engine.journal;
        this.#begin();
    }

    #begin() {
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

    // What can not be trusted or read leaves everything as it is: the store is closed again.
    #openJournal() {
        try {
            return this.#journal = new Journal(this.#place, this.#readOnly, this.storageConfig.hmacSecret ?? '', () => this.#native.published());
        } catch (error) {
            this.#native.close();
            throw error;
        }
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
            this.#journal.refresh();
            for (const { op, stream } of this.#journal.takeNews()) if (op in NEWS) this.emit(NEWS[op], stream);
        };
        this.#journal.keepNews();
        this.#watch = { notify };
        this.#engine.consumers.add(this.#watch);
        this.#engine.follow();
    }

    // Hooks are the storage's; a listener of streams that comes after `ready` is told of what comes after it.
    on(event, listener) {
        if (HOOKS.includes(event)) return this.#hook('on', event, listener);
        super.on(event, listener);
        if (event === 'stream-available' && this.#ready && this.#readOnly && !this.#watch) this.#watchStreams();
        return this;
    }

    addListener(event, listener) {
        return this.on(event, listener);
    }

    once(event, listener) {
        return HOOKS.includes(event) ? this.#hook('once', event, listener) : super.once(event, listener);
    }

    off(event, listener) {
        return this.removeListener(event, listener);
    }

    removeListener(event, listener) {
        return HOOKS.includes(event) ? this.#hook('off', event, listener) : super.removeListener(event, listener);
    }

    #hook(method, event, listener) {
        if (event === 'preCommit' && this.#readOnly && method !== 'off') this.#engine.refuse('register a preCommit handler on it');
        this.storage[method](event, listener);
        return this;
    }

    /** `hook(document, metadata of its stream)` before a document is committed; what it throws keeps the commit from happening. */
    preCommit(hook) {
        this.on('preCommit', hook);
    }

    /** `hook(position, metadata of its stream)` before a document is handed out; what it throws ends the read. */
    preRead(hook) {
        this.on('preRead', hook);
    }

    /** Number of events. */
    get length() {
        return this.#engine.length;
    }

    get readOnly() {
        return this.#readOnly;
    }

    /** Whose files it reads: `varve`, or `event-storage`, which are read only. */
    get format() {
        return this.#engine.format;
    }

    /**
     * Gives up writing: other processes may write from then on. What they commit is there like one's own; consumers are to be got
     * anew. `callback` is called when it is done.
     */
    makeReadOnly(callback = () => {}) {
        if (!this.#readOnly) {
            this.#stopWriting();
            this.#readOnly = true;
            this.#native = openNative(this.#place, this.storeName, true, this.#durability);
            this.#engine.reopen(this.#native, true, this.#openJournal());
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
        try {
            this.#stopWriting();
        } finally {
            this.#engine.end();
        }
        this.storage.emit('closed');
    }

    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
        this.close();
    }

    // ---- Commits

    commit(streamName, events, expectedVersion = ExpectedVersion.Any, metadata = {}, callback = null) {
        this.#commit(streamName, events, expectedVersion, metadata, callback, false);
    }

    /**
     * Commits at once, as `commit` does; the promise is kept when that holds for good: at level `disk`, once it is on the disk, for which
     * all commits that wait share one sync on another thread. It is null where there were no events.
     */
    async commitAsync(streamName, events, expectedVersion = ExpectedVersion.Any, metadata = {}, { durability = 'os' } = {}) {
        const level = durabilityOf({ durability }, {});
        const commit = this.#commit(streamName, events, expectedVersion, metadata, null, true);
        if (commit && (level === 'disk' || this.#durability === 'disk')) await this.#syncs.join();
        return commit;
    }

    /** The commit, if `later` says that what there is to wait for comes later, and who has called wants to know. */
    #commit(streamName, events, expectedVersion, metadata, callback, later) {
        if (this.#readOnly) this.#engine.refuse('commit to it');
        if (typeof streamName !== 'string' || streamName === '') throw new Error('Must specify a stream name for commit.');
        if (events === undefined || events === null) throw new Error('No events specified for commit.');
        const asked = commitArguments(events, expectedVersion, metadata, callback);
        if (asked.events.length === 0) return null;
        if (this.#journal.closed.has(streamName)) throw new Error(`Stream "${streamName}" is closed and cannot be written to.`);
        const condition = asked.expectedVersion instanceof CommitCondition ? this.#guard(asked.expectedVersion) : null;
        const expected = typeof asked.expectedVersion === 'number' ? this.#expected(streamName, asked.expectedVersion) : ExpectedVersion.Any;
        const committedAt = Date.now();
        if (this.#metadataSource) this.#describe(streamName, later);
        if (asked.events.length > 1 && 'commitVersion' in asked.metadata) delete asked.metadata.commitVersion;
        const { documents, whole } = this.#documentsOf(streamName, asked, committedAt);
        // From here on counts what the hooks have made of them.
        const payloads = documents === null ? asked.events : documents.map(({ payload }) => payload);
        const names = this.#accessors.namesOf(payloads, this.#journal.closed);
        const newNames = this.#newNames(streamName, names);
        const texts = this.#texts(payloads, documents);
        const own = whole ? documents.map(({ metadata }) => toJson(metadata, 'metadata')) : null;
        const members = whole ? '' : membersOf(asked.metadata, 'metadata');
        const all = this.#journal.active.length === 0 ? names : this.#derive(names, documents);
        const more = all.types || all.tags || own || condition ? [all.types, all.tags, own, condition] : null;
        const numbers = this.#numbers;
        numbers[COMMIT.count] = payloads.length;
        numbers[COMMIT.committedAt] = committedAt;
        numbers[COMMIT.expected] = expected;
        const commitId = this.#append(streamName, payloads, texts, members, more) - 1;
        if (this.#durability === 'disk' && !later) {
            this.#native.sync();
            this.#journal.sync();
        }
        if (this.#journal.hidden.size > 0) this.#restore([streamName, ...names.streams]);
        this.#engine.changed();
        return this.#report(streamName, asked, newNames, commitId, committedAt, later);
    }

    /** The names, with the tags of derived streams. */
    #derive(names, documents) {
        const more = documents.map(document => this.#router.tagsOf(this.#journal, document));
        if (more.every(tags => tags.length === 0)) return names;
        const own = names.tags;
        return { ...names, tags: more.map((tags, n) => own ? [...own[n], ...tags] : tags) };
    }

    /** Streams that were deleted and get events again are there again, with all that they ever had. */
    #restore(names) {
        for (const name of names) if (this.#journal.hidden.has(name)) this.#journal.restoreStream(name);
    }

    /** Keeps the metadata of a stream, when it is first written. */
    #describe(streamName, later) {
        if (this.#described.has(streamName) || this.#journal.metadata.has(streamName)) return;
        this.#described.add(streamName);
        const source = this.#metadataSource;
        const metadata = typeof source === 'function' ? source(streamName) : source[streamName];
        if (metadata && Object.keys(metadata).length > 0 && this.#native.version(streamName) === 0)
            this.#journal.describeStream(streamName, metadata, this.#durability === 'disk' && !later);
    }

    #expected(streamName, version) {
        if (version !== ExpectedVersion.Any && this.#journal.derived.has(streamName)) {
            const length = this.#engine.lengthOf(streamName);
            if (version !== length) throw versionConflict(streamName, version, length);
            return ExpectedVersion.Any;
        }
        if (version === ExpectedVersion.Any || (Number.isSafeInteger(version) && version >= 0)) return version;
        throw versionConflict(streamName, version, Math.max(0, this.getStreamVersion(streamName)));
    }

    /** The condition for the addon; null if JavaScript has looked already, or if nothing came since. */
    #guard({ selector, types, matcher, noneMatchAfter, raw }) {
        const asked = selector ?? types;
        if (this.#engine.length <= noneMatchAfter) return null;
        const own = typeof matcher === 'object' && matcher !== null && !this.#engine.serializer ? split(matcher) : null;
        const listed = this.#engine.needsLists(asked, noneMatchAfter);
        if (listed || (matcher && !(own?.complete && own.streams === null))) {
            const reading = new JoinEventStream('_condition', asked, this, noneMatchAfter + 1, -1, matcher, raw);
            reading.strict = true;
            const conflict = reading.next();
            if (conflict !== false) throw conditionConflict({ event: raw ? JSON.parse(conflict.buffer) : conflict });
            return null;
        }
        const sets = encodeSelector(normaliseSelector(asked), name => this.#engine.setsOf(name));
        return [sets, noneMatchAfter, own?.engine ?? null];
    }

    /**
     * The documents, once the hooks have had them, null if nobody looks at them; and whether JavaScript writes the metadata of
     * every event, and not the addon.
     */
    #documentsOf(streamName, { events, metadata }, committedAt) {
        const hooked = this.storage.listenerCount('preCommit') > 0;
        let whole = hooked || this.#engine.serializer !== null;
        for (const key in metadata) whole ||= RESERVED.includes(key);
        if (!whole && this.#journal.active.length === 0) return { documents: null, whole };
        const documents = this.#documents(streamName, events, metadata, committedAt);
        if (hooked) for (const document of documents) this.storage.emit('preCommit', document, this.#engine.metadataOf(streamName));
        return { documents, whole };
    }

    /** Texts of the events: an array of those of a serializer, else one string, for JSON has no line feed. */
    #texts(payloads, documents) {
        const { serializer } = this.#engine;
        if (serializer) return documents.map(document => serializer.serialize(document).toString());
        if (payloads.length === 1) return toText(payloads[0], 'payload');
        const texts = new Array(payloads.length);
        for (let n = 0; n < payloads.length; ++n) texts[n] = toText(payloads[n], `events[${n}]`);
        return texts.join('\n');
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

    /** The position of its first event. The addon says if there is a null, which may be no null of the payload's. */
    #append(streamName, payloads, texts, members, more) {
        const numbers = this.#numbers;
        numbers[COMMIT.lookedForNull] = Array.isArray(texts) ? 1 : 0;
        try {
            const first = this.#native.commit(streamName, texts, members, more);
            if (first >= 0) return first;
            for (let n = 0; n < payloads.length; ++n) checkNulls(payloads[n], payloads.length > 1 ? `events[${n}]` : 'payload');
            numbers[COMMIT.lookedForNull] = 1;
            return this.#native.commit(streamName, texts, members, more);
        } catch (error) {
            if (error.code === 'wrong_expected_version') throw versionConflict(streamName, numbers[COMMIT.expected], error.version);
            if (error.code === 'condition_failed') {
                const { position, type, tags, stream } = error;
                throw conditionConflict({ position, stream, type, tags, event: this.#engine.documentAt(position) });
            }
            throw error;
        }
    }

    /** Tells of a commit: of new streams now, of the commit itself when the caller's turn is over. */
    #report(streamName, { events, metadata, callback }, newNames, commitId, committedAt, wanted) {
        const streamVersion = this.#numbers[COMMIT.version];
        for (const name of newNames) {
            this.emit('stream-available', name);
            this.emit('stream-created', name);
        }
        const heard = callback !== null || this.listenerCount('commit') > 0;
        if (!heard && !wanted) return null;
        let commit = { commitId, committedAt, streamName, streamVersion, events };
        for (const _ in metadata) {
            commit = { commitId, committedAt, ...metadata, streamName, streamVersion, events };
            break;
        }
        if (!heard) return commit;
        this.#flushed.push(commit, callback);
        if (this.#flushed.length === 2) process.nextTick(() => this.#flush());
        return commit;
    }

    /** Names that no event has yet; looked for only if somebody wants to know. */
    #newNames(streamName, names) {
        if (this.listenerCount('stream-created') === 0 && this.listenerCount('stream-available') === 0) return [];
        return [...new Set([streamName, ...names.streams])].filter(name => !this.#engine.has(name));
    }

    #flush() {
        const flushed = this.#flushed;
        this.#flushed = [];
        for (let n = 0; n < flushed.length; n += 2) {
            this.emit('commit', flushed[n]);
            flushed[n + 1]?.(flushed[n]);
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
        const found = this.#engine.consumerNames?.() ?? this.#native.consumers().map(parseConsumerName).filter(one => one !== null);
        if (autoStart) for (const { stream, identifier } of found) this.getConsumer(stream, identifier);
        callback(null, found);
    }

    /** Stops consumers and closes the store: all of it, whatever is thrown meanwhile. */
    #stopWriting() {
        try {
            this.#engine.stopConsumers();
        } finally {
            this.consumers.clear();
            this.#calls.end();
            try {
                this.#closeFiles();
                this.#syncs?.end();
            } catch (error) {
                this.#syncs?.end(error);
                throw error;
            }
        }
    }

    #closeFiles() {
        try {
            this.#native.close();  // which makes everything durable
            if (this.#syncs?.pending) this.#journal.sync();
        } finally {
            this.#journal.close();
        }
    }

    // ---- Looking after it

    #called(what, options, begin) {
        if (this.#engine.format !== 'varve') return this.#engine.refuse(`${what} it`);
        return this.#calls.run(begin, options);
    }

    /** Reads every byte on another thread, and says what is damaged; changes nothing. */
    async verify(options = {}) {
        return this.#called('verify', options, (cells, callback) => this.#native.verify(cells, callback));
    }

    /** Copies everything that is durable into a directory, on another thread; what an earlier backup there has is not copied again. */
    async backup(directory, { link = false, verify = false, ...options } = {}) {
        if (typeof directory !== 'string' || directory === '') throw invalidArgument('Must specify a directory for backup.');
        return this.#called('back up', options,
            (cells, callback) => this.#native.backup(expand(directory), Boolean(link), Boolean(verify), cells, callback));
    }

    /** How large it is. */
    async stats() {
        return this.#called('tell sizes of', {}, (cells, callback) => this.#native.stats(callback));
    }

    // ---- Streams

    /**
     * Makes a stream of all events that satisfy a matcher: those that are there, unless `reindex` is false, and those that come.
     */
    createEventStream(streamName, matcher, reindex = true) {
        if (this.#readOnly) this.#engine.refuse('create new stream on it');
        const known = this.#journal.derived.get(streamName);
        if (known && !this.#ready) {
            // As it was made before: with the same matcher, programs may say so anew at every start.
            if (known.isOf(matcher)) return this.getEventStream(streamName);
            throw new Error(`Index metadata mismatch! ${JSON.stringify({ matcher: known.stored, hmac: known.hmac })}`);
        }
        if (streamName in this.streams) throw new Error('Can not recreate stream!');
        checkStreamName(streamName);
        if (typeof matcher !== 'function' && (typeof matcher !== 'object' || matcher === null)) throw new Error('Need to specify a matcher.');
        const past = reindex ? this.#engine.matching(matcher) : [];
        // Its line names events: they are durable first, for the line is when it is written.
        this.#native.sync();
        this.#journal.define(streamName, matcher, this.length, past);
        this.emit('stream-available', streamName);
        this.emit('stream-created', streamName);
        return this.getEventStream(streamName);
    }

    /** Takes a stream out of the list. Its events stay in the store; a written one is back with the next commit to it. */
    deleteEventStream(streamName) {
        if (this.#readOnly) this.#engine.refuse('delete a stream on it');
        if (streamName === ALL || !(streamName in this.streams)) return;
        this.#native.sync();  // its line says up to where the events are deleted
        this.#journal.deleteStream(streamName, this.length);
        this.emit('stream-deleted', streamName);
    }

    /** From now on nothing is added to a stream; it can be read. */
    closeEventStream(streamName) {
        if (this.#readOnly) this.#engine.refuse('close a stream on it');
        if (streamName === ALL || !(streamName in this.streams)) throw new Error(`Stream "${streamName}" does not exist.`);
        if (this.#journal.closed.has(streamName)) throw new Error(`Stream "${streamName}" is already closed.`);
        this.#native.sync();  // its line counts them
        this.#journal.closeStream(streamName);
        this.emit('stream-closed', streamName);
    }

    #matcherOf(name) {
        const derived = this.#journal.derived.get(name);
        if (derived) return derived.matcher ?? derived.stored;
        return this.#native.version(name) > 0 ? { stream: name } : this.#accessors.matcherOf(name);
    }
}
