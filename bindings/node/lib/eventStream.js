// EventStream: a range of the events of one stream, for iteration in several ways. JoinEventStream: the same over a selector.
import { Readable } from 'node:stream';
import { invalidArgument } from './errors.js';
import { BatchReader, Unreadable, WANT_METADATA, WANT_STREAM } from './batch.js';
import { buildRawBufferMatcher, matches, split } from './matcher.js';
import { ALL, normaliseSelector } from './selector.js';
import { engineOf } from './engine.js';

const END = Symbol('end');

/** What a predicate demands of the store, and what is left: a function over (payload, metadata, stream) or over bytes. */
class Filter {
    constructor(predicate, raw, whole) {
        this.engine = null;
        this.streams = null;
        this.test = null;
        this.takesDocument = false;
        if (predicate === null || predicate === undefined) return;
        if (typeof predicate === 'function') return this.#function(predicate);
        const parts = whole ? { engine: null, streams: null, complete: false } : split(predicate);
        this.engine = parts.engine;
        this.streams = parts.streams;
        // The store narrows it down where it can; in a derived stream it counts before it looks.
        parts.complete &&= parts.streams === null;
        if (raw && !parts.complete) this.test = buildRawBufferMatcher(predicate);
        if (!raw && !parts.complete) {
            this.takesDocument = true;
            this.test = document => matches(document, predicate);
        }
    }

    #function(predicate) {
        this.test = predicate;
        // A function that names one argument gets the payload alone.
        this.payloadOnly = predicate.length === 1;
    }
}

/** Of stores that only look like one: documents of `storage.readRange`, one by one. */
class DocumentReader {
    constructor(documents) {
        this.documents = documents;
        this.payloads = [undefined];
        this.metadata = [undefined];
        this.streams = [undefined];
        this.positions = [0];
        this.times = [0];
    }

    close() {
        this.documents.return?.();
    }

    load() {
        const { done, value } = this.documents.next();
        if (done) return 0;
        this.payloads[0] = value.payload;
        this.metadata[0] = value.metadata;
        this.streams[0] = value.stream;
        return 1;
    }

    loadLines() {
        const { done, value } = this.documents.next();
        if (done) return 0;
        this.payloads[0] = Buffer.concat([value.buffer ?? value, Buffer.from('\n')]);
        return 1;
    }
}

/** Of stores with a serializer of their own: every document is one text. */
class SerializedReader extends BatchReader {
    #deserialize;

    constructor(cursor, deserialize) {
        super(cursor);
        this.#deserialize = deserialize;
    }

    loadLines(streams) {
        const count = this.loadTexts(streams);
        this.payloads = this.payloads.map(text => Buffer.from(`${text}\n`));
        return count;
    }

    load() {
        const count = this.loadTexts();
        const documents = this.payloads.map(text => this.#deserialize(text));
        this.payloads = documents.map(document => document.payload);
        this.metadata = documents.map(document => document.metadata);
        this.streams = documents.map(document => document.stream);
        return count;
    }
}

function wrap(revision, length) {
    return revision < 0 ? revision + length + 1 : revision;
}

export class EventStream extends Readable {
    #raw;
    #predicate;
    #filter = null;
    #reader = null;
    #count = 0;
    #at = 0;
    #done = false;
    #events = null;
    #flowing = false;
    #hook = null;
    #position = 0;

    /** @internal An error is thrown whatever the store is told by `compat`: a condition must not hold because it could not be read. */
    strict = false;

    /** @internal Nothing may be missing that an index of event-storage does not have yet. */
    complete = false;

    constructor(name, eventStore, minRevision = 1, maxRevision = -1, predicate = null, raw = false) {
        const shorthand = typeof predicate === 'boolean';
        super({ objectMode: !(shorthand ? predicate || raw : raw) });
        if (typeof name !== 'string' || name === '') throw new Error('Need to specify a stream name.');
        if (typeof eventStore !== 'object' || eventStore === null)
            throw new Error(`Need to provide EventStore instance to create EventStream ${name}.`);
        this.name = name;
        this.#raw = shorthand ? predicate || raw : raw;
        this.#predicate = shorthand ? null : predicate;
        this.eventStore = eventStore;
        this.streamIndex = this.indexOf(eventStore, name);
        const length = this.streamIndex ? this.streamIndex.length : 0;
        this.minRevision = wrap(minRevision, length);
        this.maxRevision = wrap(maxRevision, length);
        this.version = this.streamIndex ? Math.min(length, this.maxRevision) : -1;
    }

    /** @protected */
    indexOf(eventStore, name) {
        return eventStore.streams[name]?.index;
    }

    get #length() {
        return this.streamIndex ? this.streamIndex.length : 0;
    }

    // ---- Which part

    from(revision) {
        this.minRevision = wrap(revision, this.#length);
        return this;
    }

    until(revision) {
        this.maxRevision = wrap(revision, this.#length);
        this.version = Math.min(this.#length, this.maxRevision);
        return this;
    }

    fromStart() {
        this.minRevision = 1;
        return this;
    }

    fromEnd() {
        this.minRevision = this.#length;
        return this;
    }

    toEnd() {
        this.maxRevision = this.#length;
        this.version = this.#length;
        return this;
    }

    toStart() {
        this.maxRevision = 1;
        return this;
    }

    first(amount) {
        return this.fromStart().following(amount);
    }

    last(amount) {
        return this.fromEnd().previous(amount).forwards();
    }

    previous(amount) {
        this.maxRevision = Math.max(1, this.minRevision - amount + 1);
        return this;
    }

    following(amount) {
        this.maxRevision = Math.min(this.#length, this.minRevision + amount - 1);
        return this;
    }

    forwards(amount = 0) {
        if (amount > 0) this.following(amount);
        return this.minRevision > this.maxRevision ? this.reverse() : this;
    }

    backwards(amount = 0) {
        if (amount > 0) this.previous(amount);
        return this.minRevision < this.maxRevision ? this.reverse() : this;
    }

    reverse() {
        [this.minRevision, this.maxRevision] = [this.maxRevision, this.minRevision];
        this.version = Math.min(this.#length, this.maxRevision);
        return this;
    }

    where(predicate) {
        this.#predicate = predicate ?? null;
        return this.reset();
    }

    filter(predicate, options) {
        if (options !== undefined) return super.filter(predicate, options);
        process.emitWarning('EventStream.filter(predicate) is now where(predicate).', 'DeprecationWarning',
            'EVENTSTREAM_FILTER_MATCHER_DEPRECATED');
        return this.where(predicate);
    }

    // ---- Reading

    /** @protected The bounds of the read, both inside; null: nothing. */
    bounds() {
        const length = this.#length;
        const [from, until] = [wrap(this.minRevision, length), wrap(this.maxRevision, length)];
        return from < 1 || until < 1 || from > length || until > length ? null : { from, until };
    }

    /** @protected */
    openCursor(engine, bounds, filter) {
        return engine.readStream(this.name, bounds.from, bounds.until, filter.engine, filter.streams);
    }

    #open() {
        this.#filter = new Filter(this.#predicate, this.#raw, Boolean(engineOf(this.eventStore)?.serializer));
        const bounds = this.streamIndex ? this.bounds() : null;
        if (!bounds) return null;
        const engine = engineOf(this.eventStore);
        if (!engine) {
            const storage = this.eventStore.storage;
            this.#filter = new Filter(this.#predicate, this.#raw, true);
            return new DocumentReader(storage.readRange(bounds.from, bounds.until, this.streamIndex, this.#raw));
        }
        const cursor = this.openCursor(engine, bounds, this.#filter);
        if (!cursor || cursor.load) return cursor;  // files of event-storage give documents
        return engine.serializer
            ? new SerializedReader(cursor, text => engine.serializer.deserialize(text)) : new BatchReader(cursor);
    }

    // The next batch; false at the end.
    #load(whole) {
        if (this.#done) return false;
        this.#reader ??= this.#open();
        this.#at = 0;
        this.#count = 0;
        if (this.#reader) {
            this.#hook = engineOf(this.eventStore)?.readHook() ?? null;
            const all = whole || this.#hook !== null || (this.#filter.test !== null && !this.#filter.payloadOnly);
            this.#count = this.#raw ? this.#reader.loadLines(this.#hook !== null) : this.#reader.load(all ? WANT_METADATA | WANT_STREAM : 0);
        }
        if (this.#count > 0) return true;
        this.#end();
        return false;
    }

    #end() {
        this.#done = true;
        this.#reader?.close();
        this.#reader = null;
        this.#count = this.#at = 0;
    }

    #value(column, n) {
        const value = column[n];
        if (value instanceof Unreadable) throw value.error;
        return value;
    }

    #document(n) {
        const reader = this.#reader;
        // A batch that was begun for its payloads alone.
        if (!reader.metadata) return engineOf(this.eventStore).documentAt(reader.positions[n]);
        return { stream: reader.streams[n], payload: this.#value(reader.payloads, n), metadata: this.#value(reader.metadata, n) };
    }

    #passes(n) {
        this.#hook?.(this.#reader.positions[n], this.#reader.streams[n]);
        const { test, takesDocument, payloadOnly } = this.#filter;
        if (test === null) return true;
        const reader = this.#reader;
        const value = this.#value(reader.payloads, n);
        if (this.#raw) return test(value.subarray(0, value.length - 1));
        if (takesDocument) return test(this.#document(n));
        return payloadOnly ? test(value) : test(value, this.#value(reader.metadata, n));
    }

    // Its place in the batch; -1 at the end. An error ends the stream.
    #advance(whole) {
        try {
            for (;;) {
                if (this.#at === this.#count && !this.#load(whole)) return -1;
                const n = this.#at++;
                if (this.#passes(n)) return n;
            }
        } catch (error) {
            return this.#fail(error);
        }
    }

    // As a Readable it is destroyed with the error, which emits it.
    #fail(error) {
        this.#end();
        if (!this.#flowing && this.listenerCount('error') > 0) this.emit('error', error);
        if (!this.strict && engineOf(this.eventStore)?.compat) return -1;
        throw error;
    }

    #nextValue() {
        const n = this.#advance(false);
        if (n < 0) return END;
        try {
            return this.#value(this.#reader.payloads, n);
        } catch (error) {
            this.#fail(error);
            return END;
        }
    }

    // As a Readable of bytes: many lines at once, where nobody looks at each; null if they have to be taken one by one.
    #chunk() {
        if (!this.#raw || this.#at < this.#count || this.#done) return null;
        this.#reader ??= this.#open();
        if (!(this.#reader instanceof BatchReader) || this.#reader instanceof SerializedReader) return null;
        if (this.#filter.test !== null || engineOf(this.eventStore).readHook() !== null) return null;
        try {
            const chunk = this.#reader.loadChunk();
            if (chunk !== null) return chunk;
            this.#end();
            return END;
        } catch (error) {
            this.#fail(error);
            return END;
        }
    }

    /** The next document, or false at the end. */
    next() {
        const n = this.#advance(true);
        if (n < 0) return false;
        this.#position = this.#reader.positions[n];
        try {
            if (!this.#raw) return this.#document(n);
        } catch (error) {
            this.#fail(error);
            return false;
        }
        const line = this.#reader.payloads[n];
        const { positions, times } = this.#reader;
        return { buffer: line.subarray(0, line.length - 1), time64: times[n], sequenceNumber: positions[n] - 1 };
    }

    /** @internal Where in the store the document is that `next` has given last. */
    get lastPosition() {
        return this.#position;
    }

    [Symbol.iterator]() {
        const next = () => {
            const value = this.#nextValue();
            return value === END ? { done: true, value: undefined } : { done: false, value };
        };
        const end = value => {
            this.#end();
            return { done: true, value };
        };
        return { next, return: end, [Symbol.iterator]() { return this; } };
    }

    /** The same in arrays of `size`; the last one may have less. */
    batches(size) {
        if (!Number.isSafeInteger(size) || size < 1) throw invalidArgument(`The size of a batch must be a whole number above 0, got ${size}.`);
        return this.#batches(size);
    }

    *#batches(size) {
        let batch = [];
        for (const value of this) {
            if (batch.push(value) < size) continue;
            yield batch;
            batch = [];
        }
        if (batch.length > 0) yield batch;
    }

    /** All payloads, read once. */
    get events() {
        this.#events ??= [...this];
        return this.#events;
    }

    forEach(callback) {
        for (let document; (document = this.next()) !== false;) callback(document.payload, document.metadata, document.stream);
    }

    reset() {
        this.#reader?.close();
        this.#reader = null;
        this.#events = null;
        this.#done = false;
        this.#count = this.#at = 0;
        return this;
    }

    _read() {
        this.#flowing = true;
        try {
            for (;;) {
                const value = this.#chunk() ?? this.#nextValue();
                if (value === END) return void this.push(null);
                if (value === null || value === undefined)
                    throw new TypeError('A payload of null or undefined can not pass through a Readable. Use for…of or forEach.');
                if (!this.push(value)) return;
            }
        } catch (error) {
            this.destroy(error);
        } finally {
            this.#flowing = false;
        }
    }

    _destroy(error, callback) {
        this.#end();
        callback(error);
    }
}

/** The events of a selector in the order of the store; revisions are numbers of events in the store. */
export class JoinEventStream extends EventStream {
    constructor(name, selector, eventStore, minRevision = 1, maxRevision = -1, predicate = null, raw = false) {
        if (!(typeof selector === 'string' && selector !== '') && !(Array.isArray(selector) && selector.length > 0))
            throw new Error(`Invalid selector supplied to JoinEventStream ${name}.`);
        super(name, eventStore, minRevision, maxRevision, predicate, raw);
        this.selector = normaliseSelector(selector);
        this.version = this.streamIndex.length;
        // Beyond the end up to the end is nothing, not a step backwards.
        this.#beyond = maxRevision < 0 && this.minRevision > this.maxRevision && minRevision > 0;
    }

    #beyond;

    indexOf(eventStore) {
        return eventStore.streams[ALL]?.index ?? eventStore.storage?.index;
    }

    from(revision) {
        this.#beyond = false;
        return super.from(revision);
    }

    reverse() {
        this.#beyond = false;
        return super.reverse();
    }

    bounds() {
        const length = this.streamIndex.length;
        if (this.#beyond && this.minRevision > length) return null;
        const [from, until] = [Math.max(1, this.minRevision), this.maxRevision];
        return until < 1 || Math.min(from, until) > length ? null : { from, until };
    }

    openCursor(engine, bounds, filter) {
        const { length } = engine;
        return engine.readNames(this.selector, Math.min(bounds.from, length), Math.min(bounds.until, length), filter.engine, filter.streams,
            this.complete);
    }
}
