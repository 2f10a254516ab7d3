// What `eventStore.storage` is on a varve store: events by their number, and the hooks.
import { EventEmitter } from 'node:events';
import { JoinEventStream } from './eventStream.js';
import { ALL } from './selector.js';

export class EngineStorage extends EventEmitter {
    #engine;
    #eventStore;

    constructor(engine, eventStore) {
        super();
        this.#engine = engine;
        this.#eventStore = eventStore;
        engine.belongsTo(this);
        this.index = eventStore.streams[ALL].index;
    }

    get length() {
        return this.#engine.length;
    }

    /** The document with this number, in the store or in a stream's index; false if there is none. */
    read(number, index = this.index) {
        const [document] = this.readRange(number, number, index);
        return document ?? false;
    }

    /** The documents of a range, both ends inside, in that order; negative numbers count from the end. */
    *readRange(from, until = -1, index = this.index, raw = false) {
        const length = index.length;
        const [first, last] = [from, until].map(number => number < 0 ? number + length + 1 : number);
        if (first < 1 || last < 1 || first > length || last > length) throw new Error(`Range scan error for range ${from} - ${until}.`);
        const stream = index.stream === ALL ? new JoinEventStream(ALL, ALL, this.#eventStore, first, last, null, raw)
            : this.#eventStore.getEventStream(index.stream, first, last, null, raw);
        for (let document; (document = stream.next()) !== false;) yield raw ? document.buffer : document;
    }

    /** Everything is with the operating system when a commit returns; this makes it durable. */
    flush() {
        this.#engine.native.sync();
        return true;
    }
}
