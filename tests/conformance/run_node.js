// Runs the conformance scenarios through the npm package in the directory given; README.md says what they are. With --canary each
// of them must fail where it says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { EventStore, ExpectedVersion, OptimisticConcurrencyError } = await import(pathToFileURL(path.resolve(process.argv[2], 'index.js')));
const canary = process.argv[3] === '--canary';
const here = import.meta.dirname;

class Failure extends Error {}

function check(condition, text) {
    if (!condition) throw new Failure(text);
}

/** Whether a value is what is expected: objects may have more fields, everything else is equal. */
function holds(expected, actual) {
    if (Array.isArray(expected)) return Array.isArray(actual) && actual.length === expected.length && expected.every((one, n) => holds(one, actual[n]));
    if (typeof expected !== 'object' || expected === null) return expected === actual;
    return typeof actual === 'object' && actual !== null && Object.keys(expected).every(key => key in actual && holds(expected[key], actual[key]));
}

const FIELDS = {
    append: ['stream', 'events', 'metadata', 'expected', 'condition'], derive: ['name', 'matcher'],
    read: ['all', 'stream', 'category', 'type', 'tag', 'derived', 'from', 'until', 'limit', 'backwards'],
    query: ['items', 'selector', 'matcher', 'from', 'decision'],
};
const STEPS = ['append', 'read', 'query', 'version', 'derive', 'close', 'delete', 'reopen'];

/** Data are the payload, and metadata are metadata. */
function matcherOf(matcher) {
    if (matcher === undefined) return null;
    const { data, ...more } = matcher;
    return data === undefined ? more : { payload: data, ...more };
}

/** A selector as this package has it: an array is a union, one within it an intersection, and so on in turn. */
function selectorOf(selector, union = true) {
    if (selector.any) return union ? selector.any.map(one => selectorOf(one, false)) : [selector.any.map(one => selectorOf(one, false))];
    if (selector.all) return union ? [selector.all.map(one => selectorOf(one, true))] : selector.all.map(one => selectorOf(one, true));
    return selector.stream ?? selector.type ?? `tags/${selector.tag}`;
}

class Runner {
    #decisions = new Map();

    constructor(directory) {
        this.directory = directory;
        this.reopen();
    }

    reopen() {
        this.store?.close();
        this.store = new EventStore('store', { storageDirectory: this.directory, typeAccessor: 'type', tagsAccessor: 'tags' });
    }

    append({ stream, events, metadata = {}, expected = 'any', condition }, { refused }) {
        const version = { any: ExpectedVersion.Any, none: ExpectedVersion.EmptyStream }[expected] ?? expected;
        const payloads = events.map(({ data, ...more }) => ({ ...data, ...more }));
        let error = null;
        try {
            this.store.commit(stream, payloads, condition === undefined ? version : this.#decisions.get(condition), { ...metadata });
        } catch (thrown) {
            if (!(thrown instanceof OptimisticConcurrencyError)) throw thrown;
            error = { code: thrown.code, version: thrown.version, n: thrown.event?.payload.n };
        }
        if (error === null) check(refused === undefined, `it is not refused, expected was ${JSON.stringify(refused)}`);
        else check(refused !== undefined && holds(refused, error), `it is refused with ${JSON.stringify(error)}, expected was ${JSON.stringify(refused)}`);
    }

    read(what, step) {
        const asked = ['stream', 'category', 'type', 'tag', 'derived'].filter(name => name in what);
        check(asked.length === (what.all ? 0 : 1), 'not one source');
        const { from, until, limit, backwards = false } = what;
        const min = from ?? (backwards ? -1 : 1);
        const max = until ?? (backwards ? 1 : -1);
        let stream = 'category' in what ? this.store.getEventStreamForCategory(what.category, min, max)
            : this.store.getEventStream(what.all ? '_all' : what.tag !== undefined ? `tags/${what.tag}` : what[asked[0]], min, max);
        if (stream && limit !== undefined) stream = backwards ? stream.from(from ?? -1).previous(limit).backwards() : stream.from(from ?? 1).following(limit);
        this.#compare(stream, step);
    }

    query({ items, selector, matcher, from = 1, decision }, step) {
        const asked = items ? { items } : [selectorOf(selector)].flat();
        const { stream, condition } = this.store.query(asked, matcherOf(matcher), from);
        this.#compare(stream, step);
        if (decision !== undefined) this.#decisions.set(decision, condition);
    }

    version(name, { gives }) {
        const version = Math.max(0, this.store.getStreamVersion(name));
        check(version === gives, `${version}, expected was ${gives}`);
    }

    derive({ name, matcher }) {
        this.store.createEventStream(name, matcherOf(matcher));
    }

    close(name) {
        this.store.closeEventStream(name);
    }

    delete(name) {
        this.store.deleteEventStream(name);
    }

    #compare(stream, { gives }) {
        const found = [];
        for (let document = stream && stream.next(); document; document = stream.next()) {
            const { stream: name, payload, metadata } = document;
            const { type = '', tags = [], ...data } = payload;
            found.push({ n: data.n, stream: name, revision: metadata.streamVersion + 1, type, tags, data, metadata });
        }
        const expected = gives.map(one => (typeof one === 'number' ? { n: one } : one));
        check(holds(expected, found), `${JSON.stringify(found)}, expected was ${JSON.stringify(expected)}`);
    }

    step(step) {
        const names = Object.keys(step).filter(name => name !== 'gives' && name !== 'refused');
        check(names.length === 1 && STEPS.includes(names[0]), `no step: ${JSON.stringify(step)}`);
        const [name] = names;
        check(!(name in FIELDS) || Object.keys(step[name]).every(field => FIELDS[name].includes(field)), `a field that is not known: ${JSON.stringify(step)}`);
        check('gives' in step === ['read', 'query', 'version'].includes(name) && (!('refused' in step) || name === 'append'),
            `not what such a step expects: ${JSON.stringify(step)}`);
        this[name](step[name], step);
    }
}

/** Which step fails, and why; 0 if none does. */
function run(scenario) {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'varve-conformance-'));
    const runner = new Runner(directory);
    try {
        for (const [number, step] of scenario.steps.entries()) {
            try {
                runner.step(step);
            } catch (error) {
                if (!(error instanceof Failure)) throw error;
                return { step: number + 1, why: error.message };
            }
        }
        return { step: 0 };
    } finally {
        runner.store.close();
        fs.rmSync(directory, { recursive: true });
    }
}

const folder = canary ? path.join(here, 'canary') : here;
const names = fs.readdirSync(folder).filter(name => name.endsWith('.json')).sort();
let bad = 0;
for (const name of names) {
    const scenario = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
    const expected = canary ? scenario.fails_at : 0;
    const { step, why } = run(scenario);
    if (step === expected) continue;
    ++bad;
    console.log(step > 0 ? `${name}: step ${step}: ${why}` : `${name}: should fail in step ${expected} and does not`);
}
console.log(`${names.length - bad} of ${names.length} scenarios as expected`);
assert.ok(bad === 0 && names.length >= 10);
