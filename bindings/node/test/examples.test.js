// Goal: the examples do what they say, and the first example in the README of event-storage runs with nothing but its import
// replaced. Method: each is a program of its own in an empty directory, and all that it prints is compared.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Original from 'event-storage';
import EventStore from 'varve';
import { directoryFor } from './support.js';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

function run(args, cwd) {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
    return stdout.trimEnd().split('\n');
}

const example = (name, directory, ...args) => run([path.join(packageRoot, 'examples', `${name}.js`), directory, ...args], directory);

test('quick start', t => {
    const directory = directoryFor(t);
    assert.deepEqual(example('quickStart', directory), [
        'order-1: Placed', 'order-1: Paid', 'placed: 99', 'placed: 5', 'last: Placed',
        'order-2 0 Placed', 'order-1 1 Paid', 'order-1 0 Placed', "{ type: 'Placed', total: 5 }"]);
    assert.equal(example('quickStart', directory)[0], 'order-1 is there already, at version 2');
});

test('conditions', t => {
    assert.deepEqual(example('conditions', directoryFor(t)), [
        'ann has a seat in chess, attempt 1', 'cid has a seat in chess, attempt 1', 'bob decides again: cid came first, with event 2',
        'bob: chess is full', 'ann has a seat in poker, attempt 1', 'bob has a seat in go, attempt 1']);
});

test('a projection with a consumer goes on where it was', t => {
    const directory = directoryFor(t);
    assert.deepEqual(example('projection', directory), [
        'begins behind event 0', 'behind event 3: {"account-1":30,"account-2":7}', 'behind event 4: {"account-1":30,"account-2":107}']);
    assert.deepEqual(example('projection', directory).slice(1), [
        'behind event 7: {"account-1":60,"account-2":114}', 'behind event 8: {"account-1":60,"account-2":214}']);
});

test('migration', async t => {
    const directory = directoryFor(t);
    const old = new Original('eventstore', { storageDirectory: directory });
    await new Promise(resolve => old.on('ready', resolve));
    await new Promise(resolve => old.commit('foo', [{ n: 1 }, { n: 2 }], resolve));
    await new Promise(resolve => old.commit('bar', [{ n: 3 }], resolve));
    old.close();
    assert.deepEqual(example('migration', directory), [
        'event-storage, read only: 3 events, {"foo":2,"bar":1}', 'varve: 3 events, {"foo":2,"bar":1}', 'goes on: 4 events']);
    const again = spawnSync(process.execPath, [path.join(packageRoot, 'examples', 'migration.js'), directory], { encoding: 'utf8' });
    assert.match(again.stderr, /is a varve store already/);
});

/** An empty directory in which `varve` is this package. */
function projectFor(t) {
    const directory = directoryFor(t);
    fs.mkdirSync(path.join(directory, 'node_modules'));
    fs.symlinkSync(packageRoot, path.join(directory, 'node_modules', 'varve'));
    return directory;
}

function checkStore(directory) {
    const store = new EventStore('my-event-store', { storageDirectory: path.join(directory, 'data') });
    assert.deepEqual(store.getEventStream('my-stream').events, [{ foo: 'bar' }]);
    store.close();
}

test('the first example of event-storage, its import replaced', t => {
    const readme = fs.readFileSync(path.join(packageRoot, 'node_modules', 'event-storage', 'README.md'), 'utf8');
    const [code] = /^const EventStore = require\('event-storage'\);\n(?:(?!^```).*\n)*/m.exec(readme);
    assert.match(code, /getStreamVersion[^]*commit[^]*getEventStream/);
    const directory = projectFor(t);
    fs.writeFileSync(path.join(directory, 'example.cjs'), code.replace("require('event-storage')", "require('varve')"));
    run(['example.cjs'], directory);
    checkStore(directory);
});

test('the same as a module, with all that the documentation of event-storage does', t => {
    const directory = projectFor(t);
    fs.writeFileSync(path.join(directory, 'example.mjs'), `
        import { EventStore, OptimisticConcurrencyError } from 'varve';
        const eventstore = new EventStore('my-event-store', { storageDirectory: './data' });
        eventstore.on('ready', () => {
            const version = eventstore.getStreamVersion('my-stream');
            eventstore.commit('my-stream', [{ foo: 'bar' }], version, commit => {
                console.log('stored', commit.streamName, commit.streamVersion, commit.events.length);
                try {
                    eventstore.commit('my-stream', [{ foo: 'late' }], 0);
                } catch (error) {
                    console.log(error instanceof OptimisticConcurrencyError, error.message);
                }
                const derived = eventstore.createEventStream('bars', { payload: { foo: 'bar' } });
                for (const event of derived) console.log('bars', event.foo);
                eventstore.getEventStream('my-stream').on('data', event => console.log('data', event.foo))
                    .on('end', () => eventstore.close());
            });
            for (const event of eventstore.getEventStream('my-stream')) console.log('read', event.foo);
        });`);
    assert.deepEqual(run(['example.mjs'], directory), [
        'read bar', 'stored my-stream 0 1', 'true Optimistic Concurrency error. Expected stream "my-stream" at version 0 but is at version 1.',
        'bars bar', 'data bar']);
    checkStore(directory);
});
