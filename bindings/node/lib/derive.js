// Which derived streams events belong to, when they are committed.
import { matches } from './matcher.js';

function discriminant(matcher) {
    if (typeof matcher !== 'object') return null;
    if (typeof matcher.stream === 'string') return `s${matcher.stream}`;
    return typeof matcher.payload?.type === 'string' ? `t${matcher.payload.type}` : null;
}

/** The derived streams of a journal that take events, by what their matchers demand first. */
export class Router {
    #version = -1;
    #table = new Map();
    #others = [];

    #build(journal) {
        this.#version = journal.version;
        this.#table.clear();
        this.#others = [];
        for (const one of journal.active) {
            const key = discriminant(one.matcher);
            if (key === null) this.#others.push(one);
            else if (this.#table.has(key)) this.#table.get(key).push(one);
            else this.#table.set(key, [one]);
        }
    }

    /** Tags of an event for the streams that it belongs to; what a matcher throws is the caller's. */
    tagsOf(journal, document) {
        if (this.#version !== journal.version) this.#build(journal);
        const tags = [];
        const look = list => {
            for (const one of list ?? []) if (matches(document, one.matcher)) tags.push(one.tag);
        };
        look(this.#table.get(`s${document.stream}`));
        look(this.#table.get(`t${document.payload?.type}`));
        look(this.#others);
        return tags;
    }
}
