// What indexes and partitions of node-event-storage have in common: headers, and how many files are open at once.
import fs from 'node:fs';

const MAGIC = 8;   // bytes: six of the kind, two of the version
const HEADER = 12; // bytes before the metadata
const LEAST_METADATA = 3;

export const LAYOUTS = ['classic', 'mapped'];

/** Compares the beginning of a file with what it has to be, for the messages of event-storage. */
export function checkHeader(fileName, magic, { wrongKind, wrongVersion, mostMetadata = Infinity }) {
    const file = fs.openSync(fileName, 'r');
    try {
        const first = Buffer.alloc(HEADER);
        const got = fs.readSync(file, first, 0, HEADER, 0);
        const found = first.toString('latin1', 0, Math.min(got, MAGIC));
        if (found.slice(0, 6) !== magic.slice(0, 6)) throw new Error(wrongKind);
        if (found !== magic) throw new Error(wrongVersion(found.slice(6)));
        const size = first.readUInt32BE(MAGIC);
        if (size < LEAST_METADATA || size > mostMetadata || HEADER + size > fs.fstatSync(file).size) throw new Error('Invalid metadata size.');
        const text = Buffer.alloc(size - 1);
        fs.readSync(file, text, 0, text.length, HEADER);
        return parseMetadata(text.toString('utf8').trim());
    } finally {
        fs.closeSync(file);
    }
}

function parseMetadata(text) {
    try {
        return JSON.parse(text);
    } catch {
        throw new Error('Invalid metadata.');
    }
}

/** Files that are open, of which the one that was used longest ago is closed when there are too many; 0 is no limit. */
export class HandlePool {
    #most;
    #open = new Map();

    constructor(most = 0) {
        this.#most = most;
    }

    /** `file` is used: it has a handle, which `file.release()` gives up. */
    use(file) {
        this.#open.delete(file);
        this.#open.set(file, true);
        if (this.#most === 0 || this.#open.size <= this.#most) return;
        const [oldest] = this.#open.keys();
        this.#open.delete(oldest);
        oldest.release();
    }

    forget(file) {
        this.#open.delete(file);
    }

    get size() {
        return this.#open.size;
    }
}

/** Callbacks of what is written and not flushed. */
export class Pending {
    #callbacks = [];

    add(callback, ...values) {
        if (typeof callback === 'function') this.#callbacks.push([callback, values]);
    }

    /** Calls them; what they write waits for the next time. */
    settle() {
        if (this.#callbacks.length === 0) return;
        const all = this.#callbacks;
        this.#callbacks = [];
        for (const [callback, values] of all) callback(...values);
    }

    clear() {
        this.#callbacks = [];
    }
}
