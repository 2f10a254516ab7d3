// Which indexes of a storage of node-event-storage take a document, and how their matchers are stored.
import { evaluate, hmacOf } from './journal.js';
import { matches } from './matcher.js';

/** What the header of an index says of its matcher: an object as it is, a function as its text, signed. */
export function describeMatcher(matcher, secret) {
    if (matcher === undefined || matcher === null) return {};
    if (typeof matcher !== 'function') return { matcher };
    const source = matcher.toString();
    return { matcher: source, hmac: hmacOf(source, secret) };
}

/** The matcher of a header. A function is only made of a text whose signature holds. */
export function loadMatcher({ matcher, hmac }, secret) {
    if (typeof matcher !== 'string') return matcher;
    if (hmacOf(matcher, secret) !== hmac) throw new Error('Invalid HMAC for matcher.');
    return evaluate(matcher).bind({});
}

function isScalar(value) {
    return ['string', 'number', 'boolean'].includes(typeof value);
}

function valueAt(document, keys) {
    let value = document;
    for (const key of keys) {
        if (value === undefined || value === null) return undefined;
        value = value[key];
    }
    return value;
}

/** The values of which a document must have one at that place to match; null if nothing is known. */
function discriminants(wanted) {
    if (isScalar(wanted)) return [wanted];
    if (Array.isArray(wanted)) return wanted.length > 0 && wanted.every(isScalar) ? wanted : null;
    if (typeof wanted !== 'object' || wanted === null) return null;
    const [key, ...others] = Object.keys(wanted);
    if (others.length > 0) return null;
    if (key === '$has' && isScalar(wanted.$has)) return [wanted.$has];
    return key === '$hasAny' && Array.isArray(wanted.$hasAny) && wanted.$hasAny.length > 0 && wanted.$hasAny.every(isScalar) ? wanted.$hasAny : null;
}

/** Finds the indexes of a document by the values that their matchers demand, without asking all of them. */
export class IndexMatcher {
    #properties;
    #places = new Map();  // name -> sets it is in
    #matchers = new Map();
    #unclassified = new Set();
    #functions = new Set();

    constructor(properties = ['stream', 'payload.type']) {
        this.#properties = properties.map(property => ({ keys: property.split('.'), table: new Map() }));
    }

    add(name, matcher) {
        this.remove(name);
        this.#matchers.set(name, matcher);
        const sets = this.#setsFor(matcher);
        for (const set of sets) set.add(name);
        this.#places.set(name, sets);
    }

    #setsFor(matcher) {
        if (typeof matcher === 'function') return [this.#functions];
        if (typeof matcher === 'object' && matcher !== null) {
            for (const { keys, table } of this.#properties) {
                const values = discriminants(valueAt(matcher, keys));
                if (values) return values.map(value => this.#bucket(table, String(value)));
            }
        }
        return [this.#unclassified];
    }

    #bucket(table, key) {
        if (!table.has(key)) table.set(key, new Set());
        return table.get(key);
    }

    remove(name) {
        for (const set of this.#places.get(name) ?? []) set.delete(name);
        this.#places.delete(name);
        this.#matchers.delete(name);
    }

    /** Names of the indexes that take the document; what a matcher throws is the caller's. */
    namesFor(document) {
        const names = new Set();
        const look = set => {
            for (const name of set ?? []) if (!names.has(name) && matches(document, this.#matchers.get(name))) names.add(name);
        };
        for (const { keys, table } of this.#properties) {
            if (table.size === 0) continue;
            const value = valueAt(document, keys);
            for (const one of Array.isArray(value) ? new Set(value) : [value]) if (isScalar(one)) look(table.get(String(one)));
        }
        look(this.#unclassified);
        look(this.#functions);
        return names;
    }
}
