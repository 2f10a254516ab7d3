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
 * JSON of a value; an empty text for undefined. `name` is what a complaint calls it. What JSON has made null is in it: `checkNulls`.
 */
export function toText(value, name) {
    if (typeof value === 'function' || typeof value === 'symbol')
        throw invalidArgument(`Can not store ${name}: a ${typeof value} has no form in JSON.`);
    try {
        return JSON.stringify(value) ?? '';
    } catch (error) {
        const why = complaint(value, name, []);
        throw why ? invalidArgument(`Can not store ${why}.`) : error;
    }
}

/** Refuses a value in which something that has no form in JSON has become null. */
export function checkNulls(value, name) {
    const why = complaint(value, name, []);
    if (why) throw invalidArgument(`Can not store ${why}.`);
}

/** The same for what is written as it is: only where the text says null there is anything to look for. */
export function toJson(value, name) {
    const text = toText(value, name);
    if (text.includes('null')) checkNulls(value, name);
    return text;
}

/** What is between the braces of an object in JSON. */
export function membersOf(object, place) {
    for (const _ in object) return toJson({ ...object }, place).slice(1, -1);
    return '';
}
