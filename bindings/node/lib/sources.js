// Accessors: which streams an event belongs to besides its own, by values in its payload.
import { tagOfStream } from './engine.js';

const NAME = /^[A-Za-z0-9]\w*(?:[/:@~+=\-#.]\w+)*$/;
const TAGS = 'tags/';

function accessor(given, option, example) {
    if (given === undefined || given === null) return null;
    if (typeof given !== 'string' || given === '') throw new Error(`${option} must be a dot-notation string path (e.g. '${example}').`);
    return { path: given, keys: given.split('.') };
}

function streamSource(source) {
    if (typeof source?.path !== 'string' || source.path === '')
        throw new Error('Each streamSources entry must have a non-empty string path.');
    if (typeof source.nameBuilder !== 'function') throw new Error('Each streamSources entry must have a nameBuilder function.');
    return { path: source.path, keys: source.path.split('.'), nameBuilder: source.nameBuilder };
}

function valueAt(payload, keys) {
    let value = payload;
    for (const key of keys) {
        if (value === undefined || value === null) return undefined;
        value = value[key];
    }
    return value;
}

/** Strings at a path: the value, or the elements of an array. */
function stringsAt(payload, keys) {
    const value = valueAt(payload, keys);
    return (Array.isArray(value) ? value : [value]).filter(one => typeof one === 'string' && one !== '');
}

function checked(name, path) {
    if (!NAME.test(name)) throw new Error(`Invalid stream name "${name}" derived from path "${path}".`);
    return name;
}

function nested(keys, leaf) {
    return keys.reduceRight((inner, key) => ({ [key]: inner }), leaf);
}

const NO_NAMES = Object.freeze({ types: null, tags: null, streams: [] });

class Accessors {
    constructor(type, tags, streamSources) {
        this.type = type;
        this.tags = tags;
        this.streamSources = streamSources;
        this.none = !type && !tags && streamSources.length === 0;
    }

    /** Types, tags, and all names of streams that events get, without those that are closed. */
    namesOf(events, closed) {
        if (this.none) return NO_NAMES;
        const all = { types: [], tags: [], streams: [] };
        for (const payload of events) {
            const own = this.#namesOfEvent(payload, closed);
            all.types.push(own.type);
            all.tags.push(own.tags);
            all.streams.push(...own.streams);
        }
        if (!this.type) all.types = null;
        return all;
    }

    #namesOfEvent(payload, closed) {
        const own = { type: '', tags: [], streams: [] };
        const types = this.type ? stringsAt(payload, this.type.keys) : [];
        for (const type of types) {
            if (closed.has(checked(type, this.type.path))) continue;
            own.streams.push(type);
            if (own.type === '' ) own.type = type;
            else own.tags.push(tagOfStream(type));
        }
        for (const tag of this.tags ? stringsAt(payload, this.tags.keys) : []) {
            if (closed.has(checked(TAGS + tag, this.tags.path))) continue;
            own.streams.push(TAGS + tag);
            own.tags.push(tag);
        }
        for (const source of this.streamSources) {
            for (const value of stringsAt(payload, source.keys)) {
                const name = checked(source.nameBuilder(value), source.path);
                if (closed.has(name)) continue;
                own.streams.push(name);
                own.tags.push(tagOfStream(name));
            }
        }
        return own;
    }

    /** What event-storage would keep as the matcher of a stream that an accessor has made. */
    matcherOf(name) {
        if (this.tags && name.startsWith(TAGS)) return { payload: nested(this.tags.keys, { $has: name.slice(TAGS.length) }) };
        return this.type && this.streamSources.length === 0 ? { payload: nested(this.type.keys, name) } : undefined;
    }
}

export function readAccessors(config) {
    return new Accessors(accessor(config.typeAccessor, 'typeAccessor', 'type'), accessor(config.tagsAccessor, 'tagsAccessor', 'tags'),
        (config.streamSources ?? []).map(streamSource));
}
