// Payloads as JSON, refusing what JSON would change without a word.
import { invalidArgument } from './errors.js';

function step(path, key, parent) {
    return Array.isArray(parent) ? `${path}[${key}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

/** Why a value can not be written, and where in it; null if it can. */
function complaint(value, path, above) {
    if (typeof value === 'bigint') return `${path}: a BigInt has no form in JSON`;
    if (typeof value === 'number') return Number.isFinite(value) ? null : `${path}: ${value} has no form in JSON`;
    if (typeof value !== 'object' || value === null || typeof value.toJSON === 'function') return null;
    if (above.includes(value)) return `${path}: it contains itself`;
    const inside = [...above, value];
    for (const [key, inner] of Object.entries(value)) {
        const here = step(path, key, value);
        if (Array.isArray(value) && ['undefined', 'function', 'symbol'].includes(typeof inner))
            return `${here}: ${typeof inner === 'undefined' ? 'undefined' : `a ${typeof inner}`} has no form in JSON`;
        const why = complaint(inner, here, inside);
        if (why) return why;
    }
    return null;
}

/**
 * JSON of a value; an empty text for undefined. `name` is what a complaint calls it.
 */
export function toJson(value, name) {
    if (typeof value === 'function' || typeof value === 'symbol')
        throw invalidArgument(`Can not store ${name}: a ${typeof value} has no form in JSON.`);
    let text;
    try {
        text = JSON.stringify(value);
    } catch (error) {
        const why = complaint(value, name, []);
        throw why ? invalidArgument(`Can not store ${why}.`) : error;
    }
    if (text === undefined) return '';
    // What has no form in JSON becomes null: only then is there anything to look for.
    if (text.includes('null')) {
        const why = complaint(value, name, []);
        if (why) throw invalidArgument(`Can not store ${why}.`);
    }
    return text;
}

/** What is between the braces of an object in JSON. */
export function membersOf(object, place) {
    return Object.keys(object).length === 0 ? '' : toJson({ ...object }, place).slice(1, -1);
}
