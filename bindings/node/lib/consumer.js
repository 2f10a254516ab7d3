// Consumer: the documents of one stream as they come, with a position and a state that are stored together.
import { Readable } from 'node:stream';
import { BatchReader, documentOf, loadDocuments } from './batch.js';
import { invalidArgument } from './errors.js';
import { engineOf } from './engine.js';
import { ReadableStorage } from './lowStorage.js';
import { engineOfStorage } from './nesEngine.js';
import { ALL } from './selector.js';

const MOST_NAME = 100;  // bytes, of the store
const MOST_AT_ONCE = 1000;  // characters of a state, three bytes each at most
const RETRY_MS = 100;
const PREFIX = 'stream-';

function escape(text) {
    return [...Buffer.from(text)].map(byte => {
        const one = String.fromCharCode(byte);
        return /[A-Za-z0-9-]/.test(one) ? one : `_${byte.toString(16).padStart(2, '0')}`;
    }).join('');
}

function unescape(text) {
    return Buffer.from(text.replace(/_([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString();
}

/** The name of a consumer in the store: what a file can be called. */
export function consumerName(stream, identifier) {
    const name = `js.${escape(stream)}.${escape(identifier)}`;
    if (name.length <= MOST_NAME) return name;
    throw invalidArgument(`The consumer "${identifier}" of stream "${stream}" has a name of ${name.length} bytes in the store; ` +
        `at most ${MOST_NAME} are possible. Take a shorter identifier.`);
}

/** `{name, stream, identifier}` of a name that `consumerName` has made; null for others. */
export function parseConsumerName(text) {
    const found = /^js\.([\w-]+)\.([\w-]+)$/.exec(text);
    if (!found) return null;
    const [stream, identifier] = [unescape(found[1]), unescape(found[2])];
    return { name: `${stream === ALL ? ALL : PREFIX + stream}.${identifier}`, stream, identifier };
}

function parseStored(text) {
    return text === '' ? null : JSON.parse(text);
}

function frozen(state) {
    return typeof state === 'object' && state !== null ? Object.freeze(state) : state;
}

/**
 * A stream of documents from where it left off, also across processes. Everything that a listener of `data` has handled without
 * an error counts as consumed; `setState` within it belongs to the document that it handles.
 */
export class Consumer extends Readable {
    #engine;
    #reader = null;
    #native = null;
    #waiting = [];     // read and not handed out: {document, position}, without a document where it is another stream's
    #inStream = [];    // those that were pushed and not handled
    #handled = null;   // what `data` has got last and the store does not know of
    #handling = false;
    #running = false;
    #scheduled = false;
    #pushing = true;
    #caughtUp = false;
    #persistAsked = false;
    #thrown = null;    // by a listener of `data`
    #batch = null;     // that #handled is of
    #halted = false;   // by `stop`, or by what it threw: it does not start by itself
    #persisting = false;
    #untold = null;    // what is to be told when it is stored
    #state;

    constructor(storage, indexName, identifier, initialState = {}, startFrom = 0) {
        super({ objectMode: true });
        if (!storage) throw new Error('Must provide a storage for the consumer.');
        if (typeof indexName !== 'string' || indexName === '') throw new Error('Must specify an index name for the consumer.');
        if (typeof identifier !== 'string' || identifier === '') throw new Error('Must specify an identifier name for the consumer.');
        if (typeof initialState === 'number') [initialState, startFrom] = [{}, initialState];
        this.#engine = storage instanceof ReadableStorage ? engineOfStorage(storage) : engineOf(storage);
        if (!this.#engine) throw new Error('Must provide a storage for the consumer.');
        const prefix = this.#engine.prefix ?? PREFIX;
        this.streamName = indexName === ALL ? ALL : indexName.startsWith(prefix) ? indexName.slice(prefix.length) : '';
        if (this.streamName === '' || !this.#engine.has(this.streamName)) throw new Error(`Index "${indexName}" does not exist.`);
        this.storage = storage;
        this.indexName = indexName;
        this.identifier = identifier;
        this.name = `${indexName}.${identifier}`;
        this.initial = { state: initialState, position: startFrom };
        this.#open();
    }

    /** How many documents of the stream were consumed. */
    position = 0;

    get state() {
        return this.#state;
    }

    // ---- The store's side

    #open() {
        if (this.#native) return;
        const own = this.#engine.openConsumer?.(this.streamName, this.identifier, this.initial.position);
        this.#native = own ?? this.#openNative();
        const stored = parseStored(this.#native.state()) ?? this.initial;
        this.#take(stored);
        this.#reader = own ?? new BatchReader(this.#native);
        this.#engine.consumers.add(this);
    }

    #openNative() {
        const name = consumerName(this.streamName, this.identifier);
        const { native } = this.#engine;
        try {
            return native.consumer(name, null, 0);
        } catch (error) {
            if (error.code !== 'not_found') throw error;
            return native.consumer(name, this.#engine.consumerSets(this.streamName), this.#placeOf(this.initial.position));
        }
    }

    #take({ state, position }) {
        this.#state = frozen(state);
        this.position = position;
    }

    /** Where in the store the first `revision` documents of the stream end. */
    #placeOf(revision) {
        if (!(revision > 0)) return 0;
        const { native, readOnly } = this.#engine;
        const last = Math.min(revision, this.#engine.lengthOf(this.streamName));
        const place = this.streamName === ALL ? last : this.#engine.positionOf(this.streamName, last);
        // A consumer begins at what is durable.
        if (place > native.durable() && !readOnly) native.sync();
        return place;
    }

    #close() {
        if (!this.#native) return;
        this.#engine.consumers.delete(this);
        const native = this.#native;
        try {
            this.#acknowledge();
        } finally {
            this.#native = this.#reader = null;
            this.#forget();
            native.close();
        }
    }

    // What was not handled comes again.
    #forget() {
        this.#waiting = [];
        this.#inStream = [];
        this.#handled = null;
        this.#caughtUp = false;
        this.#persisting = false;
        this.#untold = null;
    }

    #acknowledge() {
        if (!this.#handled) return;
        this.#native.ack(this.#handled, this.#stateText());
        this.#handled = null;
    }

    // ---- Delivering

    /** Starts, or goes on after `stop`. */
    start() {
        this.#begin();
        if (this.listenerCount('data') > 0) this.resume();
    }

    resume() {
        this.#halted = false;
        return super.resume();
    }

    #begin() {
        if (this.#running || this.destroyed) return;
        this.#open();
        this.#running = true;
        this.#halted = false;
        this.#pushing = true;
        this.#engine.follow();
        this.#schedule();
    }

    /** Stops where it is. Another process can go on from there. */
    stop() {
        if (!this.#native) return;
        this.pause();
        this.#running = false;
        this.#halted = true;
        this.#close();
    }

    /** Begins anew behind document number `startFrom`, with that state. */
    reset(initialState = {}, startFrom = 0) {
        if (typeof initialState === 'number') [initialState, startFrom] = [{}, initialState];
        const running = this.#running;
        this.#open();
        this.#forget();
        const place = this.#placeOf(startFrom);
        const stored = { position: startFrom, state: initialState };
        this.#native.seek(place, JSON.stringify(stored));
        this.#take(stored);
        if (running) {
            this.#pushing = true;
            this.#schedule();
        }
    }

    /** The state that belongs to the document that is being handled; stored with its position. */
    setState(state, persist = true) {
        if (!this.#handling) throw new Error('Called setState outside of document handler!');
        const next = typeof state === 'function' ? state(this.#state) : state;
        this.#state = frozen(next);
        this.#persistAsked = persist;
    }

    /** @internal Something was committed. */
    notify() {
        if (this.#running) this.#schedule();
    }

    #schedule() {
        if (this.#scheduled || this.#persisting || !this.#pushing) return;
        this.#scheduled = true;
        setImmediate(() => {
            this.#scheduled = false;
            if (!this.#running || this.#persisting) return;
            try {
                this.#turn();
            } catch (error) {
                if (error === this.#thrown) throw error;
                this.#running = false;
                this.destroy(error);
            }
        });
    }

    #turn() {
        if (this.#waiting.length === 0 && !this.#load()) return this.#reachedEnd();
        const live = this.#caughtUp;
        let pushed = 0;
        while (this.#waiting.length > 0 && this.#pushing && this.#running) {
            const next = this.#waiting.shift();
            if (!next.document) {
                if (this.#inStream.length === 0) {
                    this.#beforeBatchOf(next);
                    this.#consume(next);
                }
                continue;
            }
            this.#inStream.push(next);
            ++pushed;
            this.#pushing = this.push(next.document);
            if (live) this.emit('progress', this.position, this.#state);
        }
        if (!this.#running) return;
        if (pushed > 0 && !live) this.emit('progress', this.position, this.#state);
        if (this.#running) this.#store(!live || this.#persistAsked);
    }

    #load() {
        const { serializer } = this.#engine;
        const reader = this.#reader;
        const count = loadDocuments(reader, serializer);
        if (count === 0) return false;
        const batch = Symbol('batch');
        const hook = this.#engine.readHook();
        const belongs = this.#engine.membership(this.streamName, reader.positions[0], reader.positions[count - 1]);
        for (let n = 0; n < count; ++n) {
            const position = reader.positions[n];
            const document = !belongs || belongs(position) ? documentOf(reader, n, serializer) : null;
            if (document) hook?.(position, document.stream);
            this.#waiting.push({ document, position, batch });
        }
        return true;
    }

    #reachedEnd() {
        this.#tellStored();
        if (!this.#native.caughtUp()) return this.#schedule();
        if (this.#caughtUp) return;
        this.#caughtUp = true;
        this.emit('caught-up');
    }

    /** Stores what was handled; tells of it if `tell`, once it is stored. */
    #store(tell) {
        const handled = this.#handled;
        if (handled !== null && !this.#engine.readOnly && this.#storeLarge(handled)) return;
        this.#acknowledge();
        if (tell && handled !== null) this.#untold = { handled, text: JSON.stringify(this.#state) };
        this.#tellStored();
        this.#schedule();
    }

    // A state that does not fit into a page is synced with every acknowledgement: not on this thread.
    #storeLarge(handled) {
        const text = this.#stateText();
        if (text.length <= MOST_AT_ONCE) return false;
        this.#handled = null;
        this.#sync(JSON.stringify(this.#state), handled, text);
        return true;
    }

    #stateText() {
        return JSON.stringify({ position: this.position, state: this.#state });
    }

    #tellStored() {
        if (!this.#untold) return;
        const { handled, text } = this.#untold;
        const stored = this.#native.stored() >= handled;
        if (stored && (this.#engine.readOnly || this.#engine.durability !== 'disk')) {
            this.#untold = null;
            this.emit('persisted', text);
        } else if (!this.#engine.readOnly) {
            this.#sync(text);
        } else {
            // The writer makes durable what it has committed; meanwhile it goes on.
            setTimeout(() => this.notify(), RETRY_MS).unref();
        }
    }

    // On another thread: what comes meanwhile waits.
    #sync(text, handled = null, stored = null) {
        const native = this.#native;
        this.#untold = null;
        this.#persisting = true;
        native.sync(error => {
            if (this.#native !== native) return;
            this.#persisting = false;
            if (error) return void this.destroy(error);
            this.emit('persisted', text);
            this.#schedule();
        }, handled, stored);
    }

    // The store acknowledges batch by batch; the state is that of before.
    #beforeBatchOf({ batch }) {
        if (this.#batch !== batch) this.#acknowledge();
        this.#batch = batch;
    }

    #consume({ document, position }) {
        this.#handled = position;
        if (this.streamName === ALL) this.position = position;
        else if (document) ++this.position;
    }

    // Whatever way a document leaves the stream, it is told so.
    emit(event, ...values) {
        if (event !== 'data') return super.emit(event, ...values);
        const [next] = this.#inStream;
        if (!next) return super.emit(event, ...values);
        const stateBefore = this.#state;
        this.#beforeBatchOf(next);
        this.#handling = true;
        try {
            const heard = super.emit(event, ...values);
            if (this.#inStream[0] === next) this.#consume(this.#inStream.shift());
            return heard;
        } catch (error) {
            // Neither it nor what it has set counts; it comes again when the consumer is started again.
            this.#state = stateBefore;
            this.#thrown = error;
            this.#halted = true;
            this.#running = false;
            this.#close();
            throw error;
        } finally {
            this.#handling = false;
        }
    }

    _read() {
        this.#pushing = true;
        if (this.#running) this.#schedule();
        else if (!this.#halted) this.#begin();
    }

    _destroy(error, callback) {
        this.#running = false;
        try {
            this.#close();
            callback(error);
        } catch (closing) {
            callback(error ?? closing);
        }
    }
}
