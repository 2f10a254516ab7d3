// Documents of a storage of node-event-storage, batch by batch, in the columns that EventStream and Consumer read. Each is read by its
// entry: an error comes when the documents before it were handed out.
import { Unreadable } from './batch.js';

const FIRST = 32;
const MOST = 256;
const LINE_FEED = Buffer.from('\n');

/** Entries of an index from one place to another, both inside, in that order. */
export function* placesOf(index, from, until) {
    const step = from <= until ? 1 : -1;
    for (let place = from; step > 0 ? place <= until : place >= until;) {
        const last = step > 0 ? Math.min(until, place + MOST - 1) : Math.max(until, place - MOST + 1);
        const entries = index.range(Math.min(place, last), Math.max(place, last));
        if (entries === false) return;  // cut off by its writer meanwhile
        yield* step > 0 ? entries : entries.reverse();
        place = last + step;
    }
}

/** Entries of the index of all documents for a list of numbers. */
export function* numbersOf(index, numbers) {
    for (const number of numbers) {
        const entry = index.get(number);
        if (entry === false) return;
        yield entry;
    }
}

export class DocumentBatches {
    #storage;
    #entries;
    #error = null;
    #rows = FIRST;
    payloads = [];
    metadata = null;
    streams = null;
    positions = new Float64Array(MOST);
    times = new Float64Array(MOST);

    constructor(storage, entries) {
        this.#storage = storage;
        this.#entries = entries;
    }

    close() {
        this.#entries.return();
    }

    /** Calls `take(data, n, header)` for the next documents; how many there were. */
    #fill(text, take) {
        if (this.#error) throw this.#error;
        const header = {};
        let count = 0;
        try {
            while (count < this.#rows) {
                const { done, value: entry } = this.#entries.next();
                if (done) break;
                const data = this.#storage.dataAt(entry, text, header);
                if (data === false) throw this.#missing(entry);
                take(data, count, header);
                this.positions[count++] = entry.number;
            }
        } catch (error) {
            this.#error = error;
            if (count === 0) throw error;
        }
        this.#rows = Math.min(4 * this.#rows, MOST);
        return count;
    }

    #missing({ number, partition, position }) {
        const error = new Error(`Document ${number} is missing: ${this.#storage.getPartition(partition).fileName} ends before position ${position}.`);
        error.code = 'corrupt';
        return error;
    }

    #parse(text, position) {
        try {
            return this.#storage.serializer.deserialize(text);
        } catch (error) {
            const failure = new Error(`Document ${position} can not be deserialized: ${error.message}`, { cause: error });
            failure.code = 'corrupt';
            failure.position = position;
            return { payload: new Unreadable(failure), metadata: new Unreadable(failure) };
        }
    }

    load() {
        const count = this.loadTexts();
        const documents = this.payloads.map((text, n) => this.#parse(text, this.positions[n]));
        this.payloads = documents.map(document => document.payload);
        this.metadata = documents.map(document => document.metadata);
        this.streams = documents.map(document => document.stream);
        return count;
    }

    loadTexts() {
        this.payloads = [];
        return this.#fill(true, text => this.payloads.push(text));
    }

    loadLines(streams = false) {
        this.payloads = [];
        const count = this.#fill(false, (data, n, { time64 }) => {
            this.payloads.push(Buffer.concat([data, LINE_FEED]));
            this.times[n] = time64;
        });
        this.streams = streams ? this.payloads.map((line, n) => this.#parse(line.toString('utf8'), this.positions[n]).stream) : null;
        return count;
    }
}
