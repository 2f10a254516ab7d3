// What a Consumer has of a storage of node-event-storage: where it is, in the file that event-storage keeps as well.
//
// The file is written beside itself and renamed. Who finds that somebody else has written it since stops: a consumer belongs to one
// process.
import fs from 'node:fs';
import path from 'node:path';
import { DocumentBatches, placesOf } from './nesReader.js';

const HEADER = 4;  // bytes: the position
const MOST_ROWS = 256;
const MOST_POSITION = 0x7fffffff;

/** `{position, state}` of a consumer's file; null if there is none, or if event-storage has cut it off. */
function readFile(file) {
    let bytes;
    try {
        bytes = fs.readFileSync(file);
    } catch (error) {
        if (error.code === 'ENOENT') return null;
        throw error;
    }
    try {
        return { position: bytes.readInt32LE(0), state: JSON.parse(bytes.toString('utf8', HEADER)) };
    } catch {
        return null;  // its state is not ASCII: event-storage has cut it off, and begins it anew
    }
}

function identityOf(file) {
    const found = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
    return found ? `${found.ino}.${found.mtimeNs}` : '';
}

function writeFile(file, bytes, sync) {
    const opened = fs.openSync(file, 'w');
    try {
        fs.writeSync(opened, bytes);
        if (sync) fs.fsyncSync(opened);
    } finally {
        fs.closeSync(opened);
    }
}

export class NesConsumer {
    #engine;
    #stream;
    #file;
    #identity;
    #place;
    #batches = null;
    #stored = 0;
    #state;
    #closed = false;
    payloads = [];
    positions = new Float64Array(MOST_ROWS);

    /** The consumer of `stream` whose file is `file`; if there is none it begins behind `place` documents. */
    constructor(engine, stream, file, place) {
        this.#engine = engine;
        this.#stream = stream;
        this.#file = file;
        this.#identity = identityOf(file);
        const found = readFile(file);
        this.#state = found ? JSON.stringify(found) : '';
        this.#place = found ? found.position : place;
    }

    /** JSON of `{position, state}`; empty if nothing was stored. */
    state() {
        return this.#state;
    }

    /** How far it has stored what it was handed, as the number of a document. */
    stored() {
        return this.#stored;
    }

    durable() {
        return Infinity;
    }

    caughtUp() {
        return this.#engine.lengthOf(this.#stream) <= this.#place;
    }

    /** Texts of the next documents. */
    loadTexts() {
        this.#batches ??= this.#open();
        if (!this.#batches) return 0;
        const count = this.#batches.loadTexts();
        if (count === 0) {
            this.#batches = null;
            return 0;
        }
        this.payloads = this.#batches.payloads;
        this.positions = this.#batches.positions;
        this.#place += count;
        return count;
    }

    #open() {
        const length = this.#engine.lengthOf(this.#stream);
        if (length <= this.#place) return null;
        return new DocumentBatches(this.#engine.low, placesOf(this.#engine.indexOf(this.#stream), this.#place + 1, length));
    }

    /** Stores that everything up to document number `handled` is consumed. */
    ack(handled, text) {
        this.#write(text, false);
        this.#stored = handled;
    }

    /** Goes on behind another place. */
    seek(_, text) {
        this.#write(text, true);
        this.#batches?.close();
        this.#batches = null;
        this.#place = JSON.parse(text).position;
    }

    /** `done` is called, later, when what was handed out up to `handled` is stored. */
    sync(done, handled, text) {
        let failure;
        try {
            if (text !== null) this.ack(handled, text);
        } catch (error) {
            failure = error;
        }
        setImmediate(() => this.#closed || done(failure));
    }

    #write(text, sync) {
        const { position, state } = JSON.parse(text);
        if (position > MOST_POSITION) throw new Error(`The file ${this.#file} can not hold a position above ${MOST_POSITION}.`);
        // What it has seen is to be in files before it says so: else it would be ahead of them after a crash.
        this.#engine.low.flush?.();
        if (identityOf(this.#file) !== this.#identity)
            throw new Error(`Trying to update consumer ${path.basename(this.#file)} concurrently. Keep each single consumer within a single process.`);
        const bytes = Buffer.alloc(HEADER);
        bytes.writeInt32LE(position);
        const beside = `${this.#file}.${position}`;
        fs.mkdirSync(path.dirname(this.#file), { recursive: true });
        writeFile(beside, Buffer.concat([bytes, Buffer.from(JSON.stringify(state) ?? 'null')]), sync);
        fs.renameSync(beside, this.#file);
        this.#identity = identityOf(this.#file);
        this.#state = text;
    }

    close() {
        this.#closed = true;
        this.#batches?.close();
        this.#batches = null;
    }
}
