// Reads what the addon writes into a room: a header, a table of rows, the bytes of the events. The offsets are those of
// src/rows.hpp.

export const WANT_METADATA = 1;
export const WANT_STREAM = 2;
export const WANT_LINE = 4;

const HEADER_WORDS = 8;
const ROW_WORDS = 12;
const ROW_DOUBLES = 6;
const NO_DATA = 1;
const FIRST_ROWS = 32;
const MOST_ROWS = 256;
const FIRST_SLAB = 16 * 1024;
const MOST_SLAB = 256 * 1024;

class Room {
    constructor(bytes) {
        // Memory of its own, which begins at a multiple of eight and is not filled with zeros first.
        this.bytes = Buffer.allocUnsafeSlow(Math.ceil(bytes / 8) * 8);
        this.words = new Uint32Array(this.bytes.buffer);
        this.doubles = new Float64Array(this.bytes.buffer);
    }
}

// Everything in it is decoded before the next read begins, so one is enough for all.
let shared = null;

/** A value that could not be read: whoever comes to it throws its error. */
export class Unreadable {
    constructor(error) {
        this.error = error;
    }
}

function textOf(room, begin, end) {
    return room.words[1] === 1 ? room.bytes.latin1Slice(begin, end) : room.bytes.utf8Slice(begin, end);
}

function parseOne(text, position, what) {
    try {
        return JSON.parse(text);
    } catch (error) {
        const failure = new Error(`The ${what} of the event at position ${position} is not JSON: ${error.message}`);
        failure.code = 'corrupt';
        failure.position = position;
        return new Unreadable(failure);
    }
}

/** All at once, which is quicker; one by one if that goes wrong, so that only the event that is not JSON is lost. */
function parseAll(room, count, begin, end, column, what) {
    try {
        const values = JSON.parse(textOf(room, begin, end));
        if (values.length === count) return values;
    } catch {
        // Below it turns out which one.
    }
    const values = [];
    for (let n = 0; n < count; ++n) {
        const at = HEADER_WORDS + n * ROW_WORDS + column;
        const from = room.words[at];
        const position = room.doubles[HEADER_WORDS / 2 + n * ROW_DOUBLES];
        values.push(parseOne(textOf(room, from, from + room.words[at + 1]), position, what));
    }
    return values;
}

const FLAGS = 4;
const DATA = 5;
const METADATA = 7;
const STREAM = 9;

/**
 * The events of a cursor, batch by batch. After `load` has answered more than 0, `payloads`, and what else was wanted, hold that
 * many events.
 */
export class BatchReader {
    #cursor;
    #rows = FIRST_ROWS;
    #slab = FIRST_SLAB;
    payloads = [];
    metadata = null;
    streams = null;
    positions = new Float64Array(MOST_ROWS);
    times = new Float64Array(MOST_ROWS);

    constructor(cursor) {
        this.#cursor = cursor;
    }

    close() {
        this.#cursor.close();
    }

    #fill(room, want, grow) {
        let filled = this.#cursor.fill(room.bytes, this.#rows, want);
        if (filled < 0) {
            room = grow(-filled);
            filled = this.#cursor.fill(room.bytes, this.#rows, want);
        }
        this.#rows = Math.min(4 * this.#rows, MOST_ROWS);
        for (let n = 0; n < filled; ++n) {
            const at = HEADER_WORDS / 2 + n * ROW_DOUBLES;
            this.positions[n] = room.doubles[at];
            this.times[n] = room.doubles[at + 1];
        }
        return { room, filled };
    }

    #fillShared(want) {
        shared ??= new Room(MOST_SLAB);
        return this.#fill(shared, want, bytes => new Room(bytes));
    }

    /** Parsed payloads; with WANT_METADATA and WANT_STREAM those as well. */
    load(want) {
        const { room, filled } = this.#fillShared(want);
        if (filled === 0) return 0;
        const words = room.words;
        this.payloads = parseAll(room, filled, words[2], words[3], DATA, 'data');
        if ((words[7] & NO_DATA) !== 0) this.#dropMissing(room, filled);
        this.metadata = (want & WANT_METADATA) !== 0
            ? parseAll(room, filled, words[4], words[5], METADATA, 'metadata') : null;
        this.streams = (want & WANT_STREAM) !== 0 ? this.#names(room, filled) : null;
        return filled;
    }

    #dropMissing(room, filled) {
        for (let n = 0; n < filled; ++n)
            if ((room.words[HEADER_WORDS + n * ROW_WORDS + FLAGS] & NO_DATA) !== 0) this.payloads[n] = undefined;
    }

    #names(room, filled) {
        const names = new Array(filled);
        let before = -1;
        for (let n = 0; n < filled; ++n) {
            const at = HEADER_WORDS + n * ROW_WORDS + STREAM;
            const begin = room.words[at];
            names[n] = begin === before ? names[n - 1] : textOf(room, begin, begin + room.words[at + 1]);
            before = begin;
        }
        return names;
    }

    /** Texts of the data, as they were serialised. */
    loadTexts(streams = false) {
        const { room, filled } = this.#fillShared(streams ? WANT_STREAM : 0);
        this.streams = streams ? this.#names(room, filled) : null;
        this.payloads = new Array(filled);
        for (let n = 0; n < filled; ++n) {
            const at = HEADER_WORDS + n * ROW_WORDS + DATA;
            this.payloads[n] = textOf(room, room.words[at], room.words[at] + room.words[at + 1]);
        }
        return filled;
    }

    #fillLines(want) {
        const { room, filled } = this.#fill(new Room(this.#slab), want, bytes => new Room(bytes));
        if (filled > 0) this.#expect(filled, room.words[3]);
        return { room, filled };
    }

    /** Lines of JSON as buffers: views of memory that nobody writes again. */
    loadLines(streams = false) {
        const { room, filled } = this.#fillLines(streams ? WANT_LINE | WANT_STREAM : WANT_LINE);
        const { bytes, words } = room;
        this.payloads = new Array(filled);
        this.streams = streams ? this.#names(room, filled) : null;
        for (let n = 0, at = HEADER_WORDS + DATA; n < filled; ++n, at += ROW_WORDS)
            this.payloads[n] = bytes.subarray(words[at], words[at] + words[at + 1]);
        return filled;
    }

    /** The next lines as one buffer; null at the end. */
    loadChunk() {
        const { room, filled } = this.#fillLines(WANT_LINE);
        return filled > 0 ? room.bytes.subarray(room.words[2], room.words[3]) : null;
    }

    // The next slab: as large as the next batch will likely be, for views keep all of it.
    #expect(rows, bytes) {
        this.#slab = Math.min(MOST_SLAB, Math.max(FIRST_SLAB, Math.ceil(1.2 * bytes * this.#rows / rows)));
    }
}

/** The next batch as documents: how many; 0 at the end. `serializer` is the store's own, or null. */
export function loadDocuments(reader, serializer) {
    return serializer ? reader.loadTexts() : reader.load(WANT_METADATA | WANT_STREAM);
}

/** Document number n of that batch; throws if it can not be read. */
export function documentOf({ payloads, metadata, streams }, n, serializer) {
    if (serializer) return serializer.deserialize(payloads[n]);
    for (const column of [payloads, metadata]) if (column[n] instanceof Unreadable) throw column[n].error;
    return { stream: streams[n], payload: payloads[n], metadata: metadata[n] };
}
