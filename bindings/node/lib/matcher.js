// Matchers in JavaScript, and what of them the store can look for by itself.
//
// A matcher is a function, or an object whose properties all have to hold: a scalar equals, an array holds one of several scalars,
// an object of `$` operators compares, any other object goes a level deeper.

const OPERATORS = {
    $gt: (value, operand) => value > operand,
    $gte: (value, operand) => value >= operand,
    $lt: (value, operand) => value < operand,
    $lte: (value, operand) => value <= operand,
    $eq: (value, operand) => value === operand,
    $ne: (value, operand) => value !== operand,
    $has: (value, operand) => Array.isArray(value) && value.includes(operand),
    $hasAny: (value, operand) => Array.isArray(value) && [].concat(operand).some(one => value.includes(one)),
};

function isObject(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isScalar(value) {
    return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function isOperators(value) {
    const keys = Object.keys(value);
    return keys.length > 0 && keys.every(key => key.startsWith('$'));
}

function compileOperators(operators) {
    const tests = Object.entries(operators).map(([name, operand]) => {
        const test = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : null;
        if (!test) throw new TypeError(`Unknown operator: ${name}`);
        return value => test(value, operand);
    });
    return value => value !== undefined && tests.every(test => test(value));
}

function compileValue(wanted) {
    if (Array.isArray(wanted)) return value => wanted.includes(value);
    if (!isObject(wanted)) return value => value === wanted;
    if (isOperators(wanted)) return compileOperators(wanted);
    const inner = compileObject(wanted);
    return value => value !== undefined && value !== null && inner(value);
}

function compileObject(matcher) {
    const tests = Object.entries(matcher).filter(([, wanted]) => wanted !== undefined)
        .map(([key, wanted]) => [key, compileValue(wanted)]);
    return document => tests.every(([key, test]) => test(document[key]));
}

const compiled = new WeakMap();

function compile(matcher) {
    let test = compiled.get(matcher);
    if (!test) compiled.set(matcher, test = compileObject(matcher));
    return test;
}

/**
 * Whether a document satisfies a matcher. A matcher is compiled when it is first used: changing it later has no effect.
 */
export function matches(document, matcher) {
    if (document === undefined) return false;
    if (matcher === undefined || matcher === null) return true;
    if (typeof matcher === 'function') return matcher(document);
    return compile(matcher)(document);
}

function checkRaw(matcher) {
    if (!isObject(matcher)) throw new TypeError('Matcher must be an object.');
    for (const wanted of Object.values(matcher)) {
        if (Array.isArray(wanted) && !wanted.every(one => one === undefined || isScalar(one)))
            throw new TypeError('Array matcher values must be scalars.');
        if (isObject(wanted) && !isOperators(wanted)) checkRaw(wanted);
    }
}

const BRACE = '{'.charCodeAt(0);
const rawMatchers = new WeakMap();

/**
 * A function that tells whether the bytes of a document satisfy a matcher: the same answer as `matches` gives for the document.
 */
export function buildRawBufferMatcher(matcher) {
    checkRaw(matcher);
    let test = rawMatchers.get(matcher);
    if (!test) {
        const inner = compile(matcher);
        test = buffer => buffer.length > 0 && buffer[0] === BRACE && inner(JSON.parse(buffer.toString('utf8')));
        rawMatchers.set(matcher, test);
    }
    return test;
}

// ---- What the store looks for by itself

// A key that every JavaScript value of some kind has besides those of its JSON is left to JavaScript, and so is one with a `$`.
function isPlainKey(key) {
    return key !== 'length' && !key.startsWith('$') && !/^\d+$/.test(key);
}

function isExact(value) {
    return isScalar(value) && (typeof value !== 'number' || Number.isFinite(value));
}

function splitValue(wanted) {
    if (isExact(wanted)) return { part: wanted, complete: true };
    if (Array.isArray(wanted))
        return wanted.length > 0 && wanted.every(isExact) ? { part: wanted, complete: true } : { complete: false };
    if (!isObject(wanted)) return { complete: false };
    return isOperators(wanted) ? splitOperators(wanted) : splitObject(wanted);
}

// Comparisons convert their operands in JavaScript; they stay there.
function splitOperators(operators) {
    const part = {};
    let complete = true;
    for (const [name, operand] of Object.entries(operators)) {
        const one = (name === '$eq' || name === '$has') && isExact(operand);
        const some = name === '$hasAny' && Array.isArray(operand) && operand.length > 0 && operand.every(isExact);
        if (one || some) part[name] = operand;
        else complete = false;
    }
    return Object.keys(part).length > 0 ? { part, complete } : { complete };
}

function splitObject(matcher) {
    const part = {};
    let complete = true;
    for (const [key, wanted] of Object.entries(matcher)) {
        if (wanted === undefined) continue;
        const inner = isPlainKey(key) ? splitValue(wanted) : { complete: false };
        if (inner.part !== undefined) part[key] = inner.part;
        complete &&= inner.complete;
    }
    // An object without a demand holds for any value, which the store's matchers can not say.
    return Object.keys(part).length > 0 ? { part, complete } : { complete: false };
}

/**
 * Splits an object matcher over documents: `engine` is what the store demands (JSON, or null), `streams` the names that the
 * event's stream must be one of (or null), `complete` whether nothing is left for JavaScript.
 */
export function split(matcher) {
    const engine = {};
    let streams = null;
    let complete = true;
    for (const [key, wanted] of Object.entries(matcher)) {
        if (wanted === undefined) continue;
        if (key === 'stream') {
            const names = [].concat(wanted);
            if (names.length > 0 && names.every(name => typeof name === 'string' && name !== '')) streams = names;
            else complete = false;
            continue;
        }
        const field = { payload: 'data', metadata: 'metadata' }[key];
        const inner = field && isObject(wanted) && !isOperators(wanted) ? splitObject(wanted) : { complete: false };
        if (inner.part !== undefined) engine[field] = inner.part;
        complete &&= inner.complete;
    }
    return { engine: Object.keys(engine).length > 0 ? JSON.stringify(engine) : null, streams, complete };
}
