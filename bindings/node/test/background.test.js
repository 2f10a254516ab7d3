// Goal: what goes on on other threads: commits that wait for the disk, verify, backup, stats. Method: answers, errors and ends of each;
// syncs are counted where the addon is asked for them; a disk that takes long is loaded before node, in processes of their own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { CommitCondition, EventStore, OptimisticConcurrencyError } from 'varve';
import { engineOf } from '../lib/engine.js';
import { directoryFor, openStore, turn } from './support.js';

const sanitized = process.env.ASAN_OPTIONS !== undefined && 'a sanitizer makes everything slow';

function replace(native, name, value) {
    Object.defineProperty(native, name, { value });
}

/** Counts the syncs that the addon is asked for on other threads. */
function countSyncs(store) {
    const { native } = engineOf(store);
    const asked = { syncs: 0 };
    replace(native, 'syncLater', callback => {
        ++asked.syncs;
        Object.getPrototypeOf(native).syncLater.call(native, callback);
    });
    return asked;
}

test('a commit is there at once, and its promise is kept when it is on the disk', async t => {
    const store = openStore(t);
    const pending = store.commitAsync('foo', [{ a: 1 }, { a: 2 }], 0, { user: 'ann' }, { durability: 'disk' });
    assert.deepEqual(store.getEventStream('foo').events, [{ a: 1 }, { a: 2 }]);
    const { committedAt, ...commit } = await pending;
    assert.deepEqual(commit, { commitId: 0, user: 'ann', streamName: 'foo', streamVersion: 0, events: [{ a: 1 }, { a: 2 }] });
    assert.ok(Math.abs(Date.now() - committedAt) < 60_000);
    assert.equal(engineOf(store).native.durable(), 2);
});

test('without a level the disk is not asked, unless the store is of level disk', async t => {
    for (const [durability, syncs] of [['os', 0], ['interval', 0], ['disk', 1]]) {
        const store = openStore(t, { durability });
        const asked = countSyncs(store);
        await store.commitAsync('foo', { a: 1 });
        assert.equal(asked.syncs, syncs, durability);
    }
});

test('a commit that does not wait is on the disk when it returns, in a store of level disk', t => {
    const store = openStore(t, { durability: 'disk' });
    for (let n = 1; n <= 3; ++n) {
        store.commit('foo', { n });
        assert.equal(engineOf(store).native.durable(), n);
    }
});

test('commits of one turn share a sync, and those that come meanwhile the next one', async t => {
    const store = openStore(t);
    const asked = countSyncs(store);
    const commits = count => Array.from({ length: count }, (_, n) => store.commitAsync(`s-${n}`, { n }, -1, {}, { durability: 'disk' }));
    const first = commits(100);
    await turn();
    const later = commits(50);
    await Promise.all([...first, ...later]);
    assert.ok(asked.syncs >= 1 && asked.syncs <= 2, `${asked.syncs}`);
    assert.equal(engineOf(store).native.durable(), 150);
    await store.commitAsync('foo', { n: 1 }, -1, {}, { durability: 'disk' });
    assert.equal(engineOf(store).native.durable(), 151);
});

test('what does not hold and what is wrong rejects the promise, and nothing is committed', async t => {
    const store = openStore(t);
    store.commit('foo', { a: 1 });
    const condition = new CommitCondition(['foo'], null, 0);
    await assert.rejects(store.commitAsync('foo', { a: 2 }, 0), error => error instanceof OptimisticConcurrencyError && error.version === 1);
    await assert.rejects(store.commitAsync('foo', { a: 2 }, condition, {}, { durability: 'disk' }),
        error => error instanceof OptimisticConcurrencyError && error.event.payload.a === 1);
    await assert.rejects(store.commitAsync('', { a: 2 }), /Must specify a stream name/);
    await assert.rejects(store.commitAsync('foo', { a: NaN }), /payload\.a/);
    await assert.rejects(store.commitAsync('foo', { a: 2 }, -1, {}, { durability: 'maybe' }), /durability must be one of os, interval, disk/);
    assert.equal(store.length, 1);
    assert.equal(await store.commitAsync('foo', []), null);
    store.makeReadOnly();
    await assert.rejects(store.commitAsync('foo', { a: 2 }), /read-only mode/);
});

test('listeners of commits hear of them', async t => {
    const store = openStore(t);
    const heard = [];
    store.on('commit', commit => heard.push(commit));
    const commit = await store.commitAsync('foo', { a: 1 }, -1, {}, { durability: 'disk' });
    assert.deepEqual(heard, [commit]);
});

test('closing waits for what is pending', async t => {
    for (const how of ['close', 'makeReadOnly']) {
        const store = openStore(t);
        const first = store.commitAsync('foo', { a: 1 }, -1, {}, { durability: 'disk' });
        await turn();
        const second = store.commitAsync('foo', { a: 2 }, -1, {}, { durability: 'disk' });
        const third = turn().then(() => store[how]());
        assert.deepEqual((await Promise.all([first, second])).map(({ commitId }) => commitId), [0, 1]);
        await third;
        const last = openStore(t);
        const pending = last.commitAsync('foo', { a: 1 }, -1, {}, { durability: 'disk' });
        last[how]();
        assert.equal((await pending).commitId, 0);
    }
});

test('a sync that fails rejects all that wait for it, also that of closing', async t => {
    const store = openStore(t);
    const { native } = engineOf(store);
    replace(native, 'syncLater', callback => setImmediate(callback, Object.assign(new Error('no disk'), { code: 'durability_lost' })));
    const pending = [1, 2].map(n => store.commitAsync('foo', { n }, -1, {}, { durability: 'disk' }));
    for (const one of pending) await assert.rejects(one, { code: 'durability_lost' });
    const closing = store.commitAsync('foo', { n: 3 }, -1, {}, { durability: 'disk' });
    replace(native, 'close', () => {
        Object.getPrototypeOf(native).close.call(native);
        throw new Error('no disk at the end');
    });
    assert.throws(() => store.close(), /no disk at the end/);
    await assert.rejects(closing, /no disk at the end/);
});

test('metadata of streams are synced with their commit', async t => {
    const storageDirectory = directoryFor(t);
    const store = openStore(t, { storageDirectory, durability: 'disk', streamMetadata: { foo: { owner: 'ann' } } });
    const synced = [];
    const { fdatasyncSync } = fs;
    t.after(() => { fs.fdatasyncSync = fdatasyncSync; });
    fs.fdatasyncSync = file => synced.push(file);
    await store.commitAsync('foo', { a: 1 });
    assert.deepEqual(synced, []);
    fs.fdatasyncSync = fdatasyncSync;
    store.close();
    // Closing makes durable what is pending.
    const second = openStore(t, { storageDirectory, durability: 'disk', streamMetadata: { bar: { owner: 'bob' } } });
    const pending = second.commitAsync('bar', { a: 1 });
    fs.fdatasyncSync = file => synced.push(file);
    second.close();
    fs.fdatasyncSync = fdatasyncSync;
    assert.equal(synced.length, 1);
    await pending;
    const again = openStore(t, { storageDirectory, readOnly: true });
    assert.deepEqual(engineOf(again).metadataOf('foo'), { owner: 'ann' });
});

test('the event loop goes on while commits wait for a slow disk', { skip: sanitized }, t => {
    let least = null;
    for (const durability of ['os', 'disk']) {
        least = null;
        for (let attempt = 0; attempt < 3 && !(least?.longest < 50); ++attempt) {
            const program = `
                import { EventStore } from 'varve';
                const store = new EventStore('store', { storageDirectory: ${JSON.stringify(directoryFor(t))}, durability: '${durability}',
                    streamMetadata: () => ({ owner: 'ann' }) });
                store.commit('foo', { n: 0 });  // makes the first file of the log
                let [longest, before] = [0, performance.now()];
                const look = () => {
                    const now = performance.now();
                    longest = Math.max(longest, now - before);
                    before = now;
                };
                setInterval(look, 1);
                const begin = performance.now();
                for (let n = 0; n < 3; ++n) {
                    await Promise.all(Array.from({ length: 20 }, (_, k) => store.commitAsync('s-' + n + '-' + k, { n }, -1, {}, { durability: 'disk' })));
                    look();
                }
                console.log(JSON.stringify({ longest, took: performance.now() - begin }));
                process.exit(0);`;
            const text = execFileSync(process.execPath, ['--input-type=module', '-e', program],
                { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: `${import.meta.dirname}/slow_sync.so` } });
            const one = JSON.parse(text);
            assert.ok(one.took >= 900, `${one.took} ms: the disk was not slow`);
            if (!least || one.longest < least.longest) least = one;
        }
        assert.ok(least.longest < 50, `${durability}: ${least.longest} ms`);
    }
});

test('a process that ends, and a worker that is ended, with commits that wait', async t => {
    const storageDirectory = directoryFor(t);
    const program = `
        import { EventStore } from 'varve';
        const store = new EventStore('store', { storageDirectory: ${JSON.stringify(storageDirectory)} });
        store.commitAsync('foo', { n: 1 }, -1, {}, { durability: 'disk' });`;
    for (const end of ['', 'process.exit(0);', 'setImmediate(() => process.exit(0));'])
        execFileSync(process.execPath, ['--input-type=module', '-e', program + end], { encoding: 'utf8' });
    for (let round = 0; round < 6; ++round) {
        const worker = new Worker(`
            const { workerData } = require('node:worker_threads');
            import('varve').then(async ({ EventStore }) => {
                const store = new EventStore('worker', { storageDirectory: workerData });
                for (;;) {
                    store.verify({ progress: () => {} }).catch(() => {});
                    await store.commitAsync('foo', { n: 1 }, -1, {}, { durability: 'disk' });
                    if (store.length % 5 === 0) require('node:worker_threads').parentPort.postMessage(store.length);
                }
            });`, { eval: true, workerData: storageDirectory });
        worker.on('error', error => assert.fail(error));
        await new Promise(resolve => worker.once('message', resolve));
        await worker.terminate();
    }
    assert.equal(openStore(t, { storageDirectory }).length, 3);
    assert.ok(openStore(t, { storageDirectory, storeName: 'worker' }).length >= 30);
});

/** A store of some segments. */
function longStore(t, config = {}) {
    const store = openStore(t, config);
    const text = 'x'.repeat(1000);
    for (let n = 0; n < 40; ++n) store.commit('foo', Array.from({ length: 100 }, (_, k) => ({ n: 100 * n + k, text })));
    return store;
}

test('stats tell sizes', async t => {
    const store = longStore(t);
    const stats = await store.stats();
    assert.equal(stats.events, 4000);
    assert.ok(stats.segments === 2 && stats.logBytes > 4_000_000 && stats.segmentBytes >= stats.logBytes && stats.files > 5, JSON.stringify(stats));
    for (const [key, value] of Object.entries(stats)) assert.equal(typeof value, 'number', key);
});

test('verify reads everything, tells how far it is, and names damage', async t => {
    const storageDirectory = directoryFor(t);
    const store = longStore(t, { storageDirectory });
    const told = [];
    const report = await store.verify({ progress: (done, total) => told.push([done, total]) });
    assert.deepEqual([report.complete, report.events, report.commits, report.damaged], [true, 4000, 40, []]);
    const [done, total] = told.at(-1);
    assert.ok(done === total && total > 4_000_000, JSON.stringify(told));
    assert.ok(told.every(([here], n) => n === 0 || here > told[n - 1][0]));
    store.close();
    const log = path.join(storageDirectory, 'store.varve', 'log');
    const file = path.join(log, fs.readdirSync(log).sort()[0]);
    const opened = fs.openSync(file, 'r+');
    fs.writeSync(opened, Buffer.from('damaged'), 0, 7, 200_000);
    fs.closeSync(opened);
    const reader = openStore(t, { storageDirectory, readOnly: true });
    const { damaged } = await reader.verify();
    assert.equal(damaged.length, 1);
    assert.ok(damaged[0].file.endsWith(path.basename(file)) && damaged[0].first > 0 && damaged[0].length > 0 && damaged[0].what !== '', JSON.stringify(damaged));
});

test('verify is ended by a signal, by what progress throws, and by closing', async t => {
    const store = longStore(t);
    const control = new AbortController();
    const pending = store.verify({ signal: control.signal });
    control.abort(new Error('enough'));
    await assert.rejects(pending, /enough/);
    await assert.rejects(store.verify({ signal: AbortSignal.abort(new Error('at once')) }), /at once/);
    await assert.rejects(store.verify({ progress: () => { throw new Error('mine'); } }), /mine/);
    // The addon itself stops, and does not only say so.
    const report = await new Promise((resolve, reject) => engineOf(store).native.verify(new BigUint64Array([0n, 0n, 1n]),
        (error, answer) => error ? reject(error) : resolve(answer)));
    assert.equal(report.complete, false);
    const closing = [store.verify(), store.backup(path.join(directoryFor(t), 'copy'))].map(one => assert.rejects(one, { code: 'closed' }));
    store.close();
    await Promise.all(closing);
    await assert.rejects(store.verify(), { code: 'closed' });
});

test('a backup is taken while the store is in use, and can be read', async t => {
    const storageDirectory = directoryFor(t);
    const store = longStore(t, { storageDirectory });
    store.createEventStream('even', { payload: { n: [0, 2, 4] } });
    const target = path.join(storageDirectory, 'copy.varve');
    const told = [];
    const report = await store.backup(target, { verify: true, progress: (done, total) => told.push([done, total]) });
    assert.deepEqual([report.complete, report.first, report.end], [true, 1, 4000]);
    assert.ok(report.copiedBytes > 4_000_000 && told.length > 0 && told.every(([done, total]) => done > 0 && done <= total), JSON.stringify({ report, told }));
    store.commit('bar', { n: -1 });
    const more = await store.backup(target);
    assert.deepEqual([more.first, more.end], [4001, 4001]);
    const copy = openStore(t, { storageDirectory, storeName: 'copy', readOnly: true });
    assert.equal(copy.length, 4001);
    assert.deepEqual(copy.getEventStream('even').events.map(({ n }) => n), [0, 2, 4]);
    await assert.rejects(store.backup(''), /Must specify a directory/);
    await assert.rejects(store.backup(path.dirname(target)), { code: 'invalid_argument' });
});

test('files of event-storage are refused', async t => {
    const storageDirectory = directoryFor(t);
    const files = new EventStore.Storage('old', { dataDirectory: storageDirectory, indexDirectory: path.join(storageDirectory, 'streams') });
    files.open();
    files.write({ stream: 'foo', payload: { a: 1 }, metadata: {} });
    files.close();
    const store = openStore(t, { storageDirectory, storeName: 'old' });
    assert.equal(store.format, 'event-storage');
    for (const call of ['verify', 'stats']) await assert.rejects(store[call](), Error);
    await assert.rejects(store.backup(path.join(storageDirectory, 'copy')), Error);
    await assert.rejects(store.commitAsync('foo', { a: 2 }), Error);
});
