// Makes a store of a directory that event-storage has written. The directory is only read; the store comes to its name in one step,
// when it is complete.
import fs from 'node:fs';
import path from 'node:path';
import { consumerName } from './consumer.js';
import { Engine } from './engine.js';
import { StorageLockedError } from './errors.js';
import { Journal, journalOf, syncDirectory } from './journal.js';
import { NesIndex, NesPartition, Store, importStorage } from './native.js';

const ENTRY_WORDS = 4;  // of an index; the first is the number of the document
const CLOSED = '.closed';

/** Files below a directory whose names, from there on, begin and end so. */
function filesOf(directory, begin, end) {
    const all = fs.existsSync(directory) ? fs.readdirSync(directory, { recursive: true }) : [];
    return all.filter(name => name.startsWith(begin) && name.endsWith(end) && fs.statSync(path.join(directory, name)).isFile()).sort();
}

/** What `read` answers of a file that the addon reads, in whichever layout it is; null if it is of another kind. */
function fromFile(Kind, file, read) {
    let opened;
    try {
        opened = new Kind(file, { readOnly: true });
    } catch (error) {
        if (error.code === 'not_a_store') return null;
        throw error;
    }
    try {
        return read(opened);
    } finally {
        opened.close();
    }
}

function readIndex(index) {
    const entries = index.length() === 0 ? [] : index.range(1, -1);
    const numbers = Float64Array.from({ length: entries.length / ENTRY_WORDS }, (_, n) => entries[n * ENTRY_WORDS]);
    return { metadata: JSON.parse(index.metadata()), numbers };
}

class Conversion {
    constructor({ place, storeName, storageDirectory, streamsDirectory, secret }) {
        this.place = place;
        this.name = storeName;
        this.directory = storageDirectory;
        this.indexes = streamsDirectory;
        this.secret = secret;
    }

    run({ type, tags }, takeLock) {
        const lock = path.join(this.directory, `${this.name}.lock`);
        if (!takeLock && fs.existsSync(lock))
            throw new StorageLockedError(`Storage ${this.name} is locked by another process`, `${lock} is there: event-storage has the store, or did not close it`);
        // A name that no file of event-storage can be taken for.
        const making = path.join(path.dirname(this.place), `.${path.basename(this.place)}-converting`);
        const report = importStorage(making, this.directory, this.name, this.indexes, type?.path ?? '', tags?.path ?? '');
        if (report.damaged || report.leftOut > 0) throw this.#failure(report);
        fs.rmSync(journalOf(making), { force: true });
        const native = new Store(making, false, false, 'os');
        try {
            this.#besides(native, new Journal(making, false, this.secret, () => native.published()));
        } finally {
            native.close();
        }
        fs.renameSync(making, this.place);
        syncDirectory(path.dirname(this.place));
    }

    #failure({ documents, leftOut, told }) {
        const error = new Error(`${this.directory} can not be converted whole: ${leftOut} of ${documents} documents can not be carried over. ` +
            `${told.slice(0, 3).map(one => `${one}.`).join(' ')} Nothing was changed. varve import takes what can be taken: --from node-event-storage`);
        error.code = 'corrupt';
        return error;
    }

    #besides(native, journal) {
        native.sync();  // lines of the journal name events
        const engine = new Engine(native, false, journal, {});
        for (const file of filesOf(this.indexes, `${this.name}.stream-`, '.index')) this.#stream(engine, journal, file);
        for (const file of filesOf(this.directory, `${this.name}.`, '')) this.#metadata(journal, file);
        for (const file of filesOf(path.join(this.indexes, 'consumers'), `${this.name}.`, '')) this.#consumer(engine, native, file);
        journal.sync();
        journal.close();
    }

    #stream(engine, journal, file) {
        let stream = file.slice(`${this.name}.stream-`.length, -'.index'.length);
        const closed = stream.endsWith(CLOSED);
        if (closed) stream = stream.slice(0, -CLOSED.length);
        const index = fromFile(NesIndex, path.join(this.indexes, file), readIndex);
        if (!index) return;
        const { metadata: { matcher, hmac }, numbers } = index;
        const written = JSON.stringify(matcher) === JSON.stringify({ stream });
        // What accessors have made is there by its name, if they are given; all else is derived.
        if (!written && engine.lengthOf(stream) !== numbers.length)
            journal.adopt({ stream, matcher: matcher ?? {}, hmac, after: engine.length, past: numbers });
        if ((closed || matcher === undefined) && engine.has(stream)) journal.closeStream(stream);
    }

    #metadata(journal, file) {
        if (/\.(index|branch|lock)$/.test(file)) return;
        const found = fromFile(NesPartition, path.join(this.directory, file), partition => JSON.parse(partition.metadata()));
        if (!found) return;
        const { epoch: _, ...metadata } = found;
        if (Object.keys(metadata).length > 0) journal.describeStream(file.slice(this.name.length + 1), metadata, false);
    }

    #consumer(engine, native, file) {
        const found = /^(_all|stream-(.+?))\.([^.]+)$/s.exec(file.slice(this.name.length + 1));
        const bytes = fs.readFileSync(path.join(this.indexes, 'consumers', file));
        if (!found || bytes.length < 4) return;
        const stream = found[2] ?? '_all';
        if (!engine.has(stream)) return;
        let state;
        try {
            state = JSON.parse(bytes.toString('utf8', 4));
        } catch {
            return;  // event-storage cuts states off that are not ASCII, and begins such consumers anew
        }
        const position = Math.min(bytes.readInt32LE(0), engine.lengthOf(stream));
        const place = stream === '_all' ? position : position > 0 ? engine.positionOf(stream, position) : 0;
        const consumer = native.consumer(consumerName(stream, found[3]), engine.consumerSets(stream), 0);
        consumer.seek(place, JSON.stringify({ position, state }));
        consumer.close();
    }
}

/** Converts what is in `storageDirectory`; `accessors` are those of the new store. */
export function convert(what, accessors, takeLock) {
    new Conversion(what).run(accessors, takeLock);
}
