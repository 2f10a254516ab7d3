// Selectors: names of streams in nested arrays, of which the outermost is an OR, the next level an AND, and so on in turn.
import { invalidArgument } from './errors.js';

export const ALL = '_all';

function normalise(selector, depth) {
    if (typeof selector === 'string') {
        if (selector === '') throw new Error('Stream names must be non-empty strings.');
        return selector;
    }
    if (!Array.isArray(selector)) throw new Error('Selector must be a string or an array.');
    let children = selector.map(child => normalise(child, depth + 1));
    if (children.length === 0) return children;
    if (children.every(child => child === children[0])) children = [children[0]];
    if (children.length === 1) {
        const [only] = children;
        if (!Array.isArray(only)) return only;
        // Two levels vanish together, so that OR stays OR.
        return only.length === 1 ? only[0] : children;
    }
    if (depth % 2 === 1) return children.includes(ALL) ? children.filter(child => child !== ALL) : children;
    return children.includes(ALL) ? ALL : children;
}

/** The shortest selector that means the same by the rules of node-event-storage. */
export function normaliseSelector(selector) {
    return normalise(selector, 0);
}

/**
 * The selector in the postfix form of the addon. `tokens(name)` gives the sets that a name stands for.
 */
export function encodeSelector(selector, tokens) {
    const out = [];
    const leaf = name => {
        const sets = name === ALL ? ['*'] : tokens(name);
        out.push(...sets);
        if (sets.length !== 1) out.push(`|${sets.length}`);
    };
    const walk = (node, depth) => {
        if (typeof node === 'string') return leaf(node);
        for (const child of node) walk(child, depth + 1);
        // A list of nothing is nothing on either level.
        out.push(`${depth % 2 === 1 && node.length > 0 ? '&' : '|'}${node.length}`);
    };
    walk(selector, 0);
    return out;
}

function termsOf(item, sources) {
    if (item === null || item === undefined) throw invalidArgument(`DcbQuery item must be an object, got ${item}`);
    for (const key of ['tags', 'types']) {
        if (item[key] === undefined) continue;
        if (!Array.isArray(item[key])) throw invalidArgument(`DcbQuery item.${key} must be an array or undefined, got ${typeof item[key]}`);
        if (item[key].length > 0 && !sources[key]) throw new Error(`DcbQuery references "${key}" but ${key === 'tags' ? 'tagsAccessor' : 'typeAccessor'} not configured.`);
    }
    const terms = (item.tags ?? []).map(tag => `tags/${tag}`);
    const types = item.types ?? [];
    if (types.length === 1) terms.push(types[0]);
    else if (types.length > 1) terms.push([...types]);
    if (terms.length === 0) return ALL;
    return terms.length === 1 && typeof terms[0] === 'string' ? terms[0] : terms;
}

export function isDcbQuery(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value) && 'items' in value;
}

/** The selector of a query `{items: [{types, tags}, …]}`. */
export function compileDcbQuery(query, sources) {
    if (!Array.isArray(query.items) || query.items.length === 0)
        throw invalidArgument(`DcbQuery.items must be a non-empty array. Use ['${ALL}'] for an unconstrained read.`);
    return query.items.map(item => termsOf(item, sources));
}

/**
 * What a decision was made on: it fails if an event that the selector and the matcher ask for was committed after event number
 * `noneMatchAfter`.
 */
export class CommitCondition {
    constructor(selector, matcher = null, noneMatchAfter = 0, raw = false) {
        this.selector = selector;
        this.matcher = matcher;
        this.noneMatchAfter = noneMatchAfter;
        this.raw = raw;
    }
}
