// The map of streams of an EventStore: asked for, never filled, so that opening takes no longer for many streams.
import { ALL } from './selector.js';

/** What `streams[name].index` is: a list of events that grows. */
export class StreamIndex {
    #engine;

    constructor(engine, name) {
        this.#engine = engine;
        this.name = name === ALL ? ALL : `stream-${name}`;
        this.stream = name;
    }

    get length() {
        return this.#engine.lengthOf(this.stream);
    }

    isOpen() {
        return true;
    }
}

/** A view of the streams of `engine`, as an object without a prototype. */
export function streamsOf(engine, matcherOf) {
    const entries = new Map();
    let version = -1;
    const find = name => {
        if (typeof name !== 'string' || name === '') return undefined;
        engine.journal.refresh();
        if (engine.journal.version !== version) {
            version = engine.journal.version;
            entries.clear();
        }
        let entry = entries.get(name);
        if (!entry && (name === ALL || engine.has(name))) {
            entry = { index: new StreamIndex(engine, name) };
            const matcher = name === ALL ? undefined : matcherOf(name);
            if (matcher) entry.matcher = matcher;
            if (engine.journal.closed.has(name)) entry.closed = true;
            entries.set(name, entry);
        }
        return entry;
    };
    const refuse = () => false;
    return new Proxy(Object.create(null), {
        get: (_, name) => find(name),
        has: (_, name) => find(name) !== undefined,
        ownKeys: () => [ALL, ...engine.names()],
        getOwnPropertyDescriptor(_, name) {
            const value = find(name);
            return value && { value, enumerable: true, configurable: true, writable: false };
        },
        set: refuse,
        deleteProperty: refuse,
        defineProperty: refuse,
    });
}
