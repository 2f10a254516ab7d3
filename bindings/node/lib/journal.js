// What a store's directory says of streams besides the events: derived streams with their matchers, closed and deleted streams,
// metadata of streams. A file of lines, each one JSON; the writer appends to it, readers look whether it has grown.
//
// It is no part of the log, so that what it says takes no number of an event. It lies in the directory `attached` of the store, which
// backups and restored stores have with the events. Every line says in `after` how many events there were: in a copy that is ahead of
// them, or where the newest of them are lost, the lines from the first that names too many on are not there.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { invalidArgument } from './errors.js';

const NAME = 'node-streams.jsonl';
const ATTACHED = 'attached';

const LINE_FEED = 10;
const DERIVED = ':derived:';  // tags of derived streams: what no accessor can make

export function hmacOf(source, secret) {
    return crypto.createHmac('sha256', secret).update(source).digest('hex');
}

export function evaluate(source) {
    // The text was signed by whoever has the secret; it was a function of the program that stored it.
    const made = (0, eval)(`(${source})`);
    if (typeof made !== 'function') throw new TypeError('it is no function');
    return made.bind({});
}

export function syncDirectory(directory) {
    const opened = fs.openSync(directory, 'r');
    fs.fsyncSync(opened);
    fs.closeSync(opened);
}

/** Where the journal of the store in directory `place` is. */
export function journalOf(place) {
    return path.join(place, ATTACHED, NAME);
}

/** Where it was before the store knew of it; a writer moves it. */
function formerly(place) {
    return path.join(place, NAME);
}

/** Syncs a file or a directory on another thread. */
export async function syncFile(name) {
    const file = await fs.promises.open(name, 'r');
    try {
        await file.sync();
    } finally {
        await file.close();
    }
}

function deltas(positions) {
    return Array.from(positions, (position, n) => position - (n === 0 ? 0 : positions[n - 1]));
}

function sums(numbers) {
    let sum = 0;
    return Float64Array.from(numbers, number => sum += number);
}

/** A derived stream: `past` are the positions that it had when it was made, events behind `after` carry `tag`. */
class Derived {
    constructor({ stream, tag, matcher, hmac, after, past }) {
        this.name = stream;
        this.tag = tag;
        this.stored = matcher;
        this.hmac = hmac;
        this.after = after;
        this.past = sums(past);
        this.closed = false;
    }

    /** The matcher, for the writer. */
    load(secret) {
        if (typeof this.stored !== 'string') return this.matcher = this.stored;
        const [own, given] = [hmacOf(this.stored, secret), String(this.hmac)].map(text => Buffer.from(text));
        if (own.length !== given.length || !crypto.timingSafeEqual(own, given)) {
            const error = new Error('Invalid HMAC for matcher.');
            error.stream = this.name;
            throw error;
        }
        return this.matcher = evaluate(this.stored);
    }

    /** Whether it was made of this matcher. */
    isOf(matcher) {
        return typeof matcher === 'function' ? this.stored === matcher.toString() : JSON.stringify(this.stored) === JSON.stringify(matcher);
    }
}

export class Journal {
    #place;
    #path;
    #readOnly;
    #secret;
    #length;        // asks how many events there are
    #file = null;
    #read = 0;      // bytes
    #lines = 0;
    #made = 0;      // derived streams, also those that are gone
    #told = null;   // what a reader has not told yet, if somebody wants to know
    #unsynced = false;
    #named = false; // its name is on the disk, as far as this opening knows
    #broken = null; // why nothing can be appended any more
    /** Grows with every change. */
    version = 0;
    derived = new Map();
    closed = new Set();
    /** Streams that were deleted, with the number of events that the store had then. */
    hidden = new Map();
    metadata = new Map();
    /** Derived streams that take events. */
    active = [];

    /** Of the store in directory `place`; `length()` says how many events it has. */
    constructor(place, readOnly, secret, length) {
        this.#place = place;
        this.#path = journalOf(place);
        this.#readOnly = readOnly;
        this.#secret = secret;
        this.#length = length;
        this.refresh(true);
    }

    close() {
        if (this.#file !== null) fs.closeSync(this.#file);
        this.#file = null;
    }

    /** Makes durable what was appended without. */
    sync() {
        if (!this.#unsynced) return;
        fs.fdatasyncSync(this.#file);
        if (!this.#named) syncDirectory(path.dirname(this.#path));
        this.#named = true;
        this.#unsynced = false;
    }

    /** The same on another thread. */
    async syncLater() {
        if (!this.#unsynced) return;
        this.#unsynced = false;
        try {
            const files = this.#named ? [this.#path] : [this.#path, path.dirname(this.#path)];
            for (const name of files) await syncFile(name);
            this.#named = true;
        } catch (error) {
            this.#unsynced = true;
            throw error;
        }
    }

    /** Reads what a writer has added; the writer itself knows. */
    refresh(first = false) {
        if (!this.#readOnly && !first) return;
        if (this.#file === null && !this.#openFile()) return;
        const { size } = fs.fstatSync(this.#file);
        if (size <= this.#read) return;
        const bytes = Buffer.alloc(size - this.#read);
        const count = fs.readSync(this.#file, bytes, 0, bytes.length, this.#read);
        let begin = 0;
        for (let end; (end = bytes.subarray(0, count).indexOf(LINE_FEED, begin)) >= 0; begin = end + 1)
            if (!this.#take(bytes.toString('utf8', begin, end))) break;
        this.#read += begin;
        // What a writer could not finish is not there, nor what is ahead of the events.
        if (!this.#readOnly && begin < count) fs.ftruncateSync(this.#file, this.#read);
    }

    #openFile() {
        if (!this.#readOnly) this.#settle();
        for (const file of [this.#path, formerly(this.#place)]) {
            try {
                this.#file = fs.openSync(file, this.#readOnly ? 'r' : 'a+');
                return true;
            } catch (error) {
                if (error.code !== 'ENOENT' || !this.#readOnly) throw error;
            }
        }
        return false;
    }

    // The directory, and in it what was elsewhere.
    #settle() {
        const directory = path.dirname(this.#path);
        if (!fs.existsSync(directory)) {
            fs.mkdirSync(directory);
            syncDirectory(this.#place);
        }
        const former = formerly(this.#place);
        if (fs.existsSync(this.#path) || !fs.existsSync(former)) return;
        fs.renameSync(former, this.#path);
        syncDirectory(directory);
        syncDirectory(this.#place);
    }

    /** False for a line that names events which are not there: of a copy, or of a store whose end is lost. */
    #take(line) {
        let entry;
        try {
            entry = JSON.parse(line);
        } catch (error) {
            throw new Error(`${this.#path}, line ${this.#lines + 1}: ${error.message}. It says which streams there are; put it back from a backup.`);
        }
        if (entry.after > this.#length()) {
            if (!this.#readOnly)
                process.emitWarning(`${this.#path}, from line ${this.#lines + 1} on: it tells of streams up to event ${entry.after}, and the store ` +
                    `has ${this.#length()}. What it tells from there on is dropped.`, { code: 'VARVE_STREAMS_AHEAD' });
            return false;
        }
        ++this.#lines;
        this.#apply(entry);
        this.#told?.push(entry);
        return true;
    }

    #apply(entry) {
        const { op, stream } = entry;
        ++this.version;
        if (op === 'create') this.#create(entry);
        else if (op === 'close') this.#close(stream);
        else if (op === 'delete') this.#delete(stream, entry.after);
        else if (op === 'restore') this.hidden.delete(stream);
        else if (op === 'metadata') this.metadata.set(stream, entry.metadata);
        else throw new Error(`${this.#path}, line ${this.#lines}: "${op}" is of a later version of varve.`);
    }

    #create(entry) {
        const made = new Derived(entry);
        if (!this.#readOnly) made.load(this.#secret);
        this.derived.set(made.name, made);
        this.hidden.delete(made.name);
        this.active.push(made);
        ++this.#made;
    }

    #close(stream) {
        this.closed.add(stream);
        this.active = this.active.filter(one => one.name !== stream);
    }

    #delete(stream, after) {
        // Of a derived stream nothing remains; another's events are there still.
        if (!this.derived.delete(stream)) this.hidden.set(stream, after);
        this.closed.delete(stream);
        this.active = this.active.filter(one => one.name !== stream);
    }

    /** From now on what a writer adds is kept for `takeNews`. */
    keepNews() {
        this.#told ??= [];
    }

    /** What was added since the last call, or since `keepNews`. */
    takeNews() {
        const news = this.#told ?? [];
        this.#told &&= [];
        return news;
    }

    #append(entry, sync = true) {
        if (this.#broken) throw this.#broken;
        const line = Buffer.from(`${JSON.stringify(entry)}\n`);
        try {
            const written = fs.writeSync(this.#file, line);
            if (written !== line.length) throw new Error(`${this.#path}: only ${written} of ${line.length} bytes could be written. Is the disk full?`);
            this.#unsynced = true;
            if (sync) this.sync();
        } catch (error) {
            this.#takeBack(error);
            throw error;
        }
        this.#read += line.length;
        ++this.#lines;
        this.#apply(entry);
    }

    // What the caller is told has failed must not be there when the store is opened again.
    #takeBack(error) {
        try {
            fs.ftruncateSync(this.#file, this.#read);
        } catch (truncating) {
            this.#broken = new Error(`${this.#path}: a line that could not be written (${error.message}) could not be taken back (${truncating.message}). ` +
                'Open the store again and look whether the change is there.');
        }
    }

    /** Defines a derived stream; `past` are the positions up to `after` that belong to it. */
    define(stream, matcher, after, past) {
        const entry = { op: 'create', stream, tag: `${DERIVED}${this.#made + 1}:${stream}`, matcher, after, past: deltas(past) };
        if (typeof matcher === 'function') {
            entry.matcher = matcher.toString();
            entry.hmac = hmacOf(entry.matcher, this.#secret);
            try {
                evaluate(entry.matcher);
            } catch (error) {
                throw invalidArgument(`The matcher of stream "${stream}" can not be stored, for its text alone is no function (${error.message}): ${entry.matcher}`);
            }
        }
        this.#append(entry);
        this.derived.get(stream).matcher = matcher;
    }

    /** The same of a stream that event-storage has made: its matcher as it is stored there. */
    adopt({ stream, matcher, hmac, after, past }) {
        this.#append({ op: 'create', stream, tag: `${DERIVED}${this.#made + 1}:${stream}`, matcher, hmac, after, past: deltas(past) });
    }

    closeStream(stream) {
        this.#append({ op: 'close', stream, after: this.#length() });
    }

    /** `after` is the number of events of the store: with one behind that the stream is there again. */
    deleteStream(stream, after) {
        this.#append({ op: 'delete', stream, after });
    }

    restoreStream(stream) {
        this.#append({ op: 'restore', stream, after: this.#length() });
    }

    describeStream(stream, metadata, sync) {
        this.#append({ op: 'metadata', stream, metadata, after: this.#length() }, sync);
    }

    isDerivedTag(tag) {
        return tag.startsWith(DERIVED);
    }
}
