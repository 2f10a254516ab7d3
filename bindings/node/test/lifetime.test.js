// Goal: whatever ends first - a store, a cursor, a consumer, a worker, the process - nothing crashes, and the event loop goes on
// meanwhile. Method: the ends in every order, in workers and child processes, with collections of garbage in between.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import EventStore from 'varve';
import { directoryFor, numbers, openStore } from './support.js';

const later = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Runs a program of its own; what it prints. */
function run(program, ...options) {
    return execFileSync(process.execPath, [...options, '--input-type=module', '-e', program], { encoding: 'utf8' }).trim();
}

test('close with open iterators, consumers and followers', async t => {
    const store = numbers(t, 5000);
    store.createEventStream('even', ({ payload }) => payload.n % 2 === 0);
    const streams = [store.getEventStream('foo'), store.getEventStream('even'), store.fromStreams('join', ['foo', 'even']), store.getAllEvents()];
    const iterators = streams.map(stream => stream[Symbol.iterator]());
    for (const iterator of iterators) assert.deepEqual(iterator.next().done, false);
    const consumer = store.getConsumer('foo', 'one');
    await once(consumer, 'data');
    const following = store.follow('foo')[Symbol.asyncIterator]();
    await following.next();
    const waiting = store.follow('foo', { since: 5000 })[Symbol.asyncIterator]().next();
    store.close();
    for (const iterator of iterators) {
        // What was read is there; then the store is not.
        assert.throws(() => { while (!iterator.next().done); }, { code: 'closed' });
    }
    assert.equal((await waiting).done, true);
    assert.throws(() => consumer.start(), { code: 'closed' });
    for (const call of [() => store.commit('foo', {}), () => store.length, () => store.getEventStream('foo'), () => store.getConsumer('foo', 'two')])
        assert.throws(call, { code: 'closed' });
    store.close();
});

test('nothing is kept that nobody has, and nothing is freed that somebody has', t => {
    const storageDirectory = directoryFor(t);
    const printed = run(`
        import EventStore from 'varve';
        let kept = null;
        for (let round = 0; round < 20; ++round) {
            const store = new EventStore('store', { storageDirectory: ${JSON.stringify(storageDirectory)}, readOnly: round > 0 });
            if (round === 0) store.commit('foo', Array.from({ length: 3000 }, (_, n) => ({ n, text: 'x'.repeat(100) })));
            const iterators = Array.from({ length: 50 }, () => store.getEventStream('foo', 1, -1, null, round % 2 === 1)[Symbol.iterator]());
            for (const iterator of iterators) kept = iterator.next().value;
            gc();
            for (const iterator of iterators.slice(25)) for (let n = 0; n < 300; ++n) iterator.next();
            if (round === 0) { store.getConsumer('foo', 'one').on('data', () => {}); store.close(); }
            if (round % 3 === 0) store.close();
            gc();
        }
        await new Promise(resolve => setImmediate(resolve));
        gc();
        console.log(kept.length ?? kept.n);`, '--expose-gc');
    assert.ok(Number(printed) >= 0, printed);
});

test('a worker that is ended in the middle of its commits leaves whole commits and no lock', async t => {
    const storageDirectory = directoryFor(t);
    const worker = `
        const { parentPort, workerData } = require('node:worker_threads');
        import('varve').then(({ EventStore }) => {
            const store = new EventStore('store', { storageDirectory: workerData });
            store.getConsumer('_all', 'one').on?.('data', () => {});
            parentPort.postMessage('ready');
            const again = () => {
                for (let n = 0; n < 100; ++n) store.commit('foo', [{ n: 1 }, { n: 2 }, { n: 3 }]);
                setImmediate(again);
            };
            again();
        });`;
    for (let round = 0; round < 5; ++round) {
        const one = new Worker(worker, { eval: true, workerData: storageDirectory });
        one.on('error', error => assert.fail(error));
        await once(one, 'message');
        await later(20 + 10 * round);
        await one.terminate();
    }
    const store = openStore(t, { storageDirectory });
    assert.ok(store.length > 0 && store.length % 3 === 0, `${store.length}`);
    let expected = 0;
    for (const { n } of store.getAllEvents()) assert.equal(n, expected++ % 3 + 1);
});

test('a worker that is ended in the middle of a commit leaves no event without its tags', async t => {
    const storageDirectory = directoryFor(t);
    const [events, tags] = [500, 20];
    const worker = `
        const { parentPort, workerData } = require('node:worker_threads');
        import('varve').then(({ EventStore }) => {
            const store = new EventStore('store', { storageDirectory: workerData, tagsAccessor: 'tags' });
            const batch = Array.from({ length: ${events} }, (_, n) => ({ n, tags: Array.from({ length: ${tags} }, (_, k) => 'tag' + k) }));
            parentPort.postMessage('ready');
            for (;;) store.commit('foo', batch);
        });`;
    for (let round = 0; round < 80; ++round) {
        const one = new Worker(worker, { eval: true, workerData: storageDirectory });
        one.on('error', error => assert.fail(error));
        await once(one, 'message');
        await later(5 + round % 7);
        await one.terminate();
    }
    const store = openStore(t, { storageDirectory, tagsAccessor: 'tags' });
    assert.ok(store.length > 0 && store.length % events === 0, `${store.length}`);
    for (let k = 0; k < tags; ++k) assert.equal(store.getStreamVersion(`tags/tag${k}`), store.length, `tag${k}`);
});

test('workers that read are ended at any moment', t => {
    const storageDirectory = directoryFor(t);
    numbers(t, 2000, { storageDirectory, typeAccessor: 'type' }).close();
    // In a process of its own, for what goes wrong here ends it.
    const printed = run(`
        import { once } from 'node:events';
        import { Worker } from 'node:worker_threads';
        const worker = \`
            const { parentPort, workerData } = require('node:worker_threads');
            import('varve').then(({ EventStore }) => {
                const store = new EventStore('store', { storageDirectory: workerData, readOnly: true });
                parentPort.postMessage('ready');
                for (;;) {
                    for (let n = 0; n < 20; ++n) store.getEventStream('foo', 5, 1).next();
                    store.storage.read(7);
                    store.fromStreams('join', ['foo', 'bar'], 1990).events;
                    store.getConsumer('foo', 'one').stop();
                    store.scanConsumers(() => {});
                    for (const name of ['foo', 'bar']) name in store.streams;
                    Object.keys(store.streams);
                }
            });\`;
        for (let round = 0; round < 100; ++round) {
            const one = new Worker(worker, { eval: true, execArgv: [], workerData: ${JSON.stringify(storageDirectory)} });
            one.on('error', error => { throw error; });
            await once(one, 'message');
            await new Promise(resolve => setTimeout(resolve, round % 9));
            await one.terminate();
        }
        console.log('done');`);
    assert.equal(printed, 'done');
});

test('workers that read and follow are ended at any moment', async t => {
    const storageDirectory = directoryFor(t);
    const store = numbers(t, 20000, { storageDirectory });
    const worker = `
        const { parentPort, workerData } = require('node:worker_threads');
        import('varve').then(async ({ EventStore }) => {
            const store = new EventStore('store', { storageDirectory: workerData, readOnly: true });
            store.on('stream-available', () => {});
            (async () => { for await (const one of store.follow('_all')) parentPort.postMessage(one.payload.n); })();
            setInterval(() => store.getEventStream('foo').events.length, 1);
        });`;
    for (let round = 0; round < 6; ++round) {
        const one = new Worker(worker, { eval: true, workerData: storageDirectory });
        one.on('error', error => assert.fail(error));
        if (round % 2 === 0) await once(one, 'message');
        store.commit('foo', { n: 0 });
        await later(5 * round);
        await one.terminate();
    }
    assert.equal(store.length, 20006);
});

test('a process that ends without closing loses nothing, whatever was pending', t => {
    const storageDirectory = directoryFor(t);
    for (const end of ['process.exit(0)', 'process.kill(process.pid, "SIGKILL")', '']) {
        const program = `
            import EventStore from 'varve';
            const store = new EventStore('store', { storageDirectory: ${JSON.stringify(storageDirectory)} });
            store.commit('foo', [{ n: 1 }, { n: 2 }], () => {});
            const consumer = store.getConsumer('foo', 'one', { seen: 0 });
            consumer.on('data', () => { consumer.setState(({ seen }) => ({ seen: seen + 1 })); });
            consumer.on('caught-up', () => { ${end} });
            store.getEventStream('foo').next();`;
        try {
            run(program);
        } catch (error) {
            assert.equal(error.signal, 'SIGKILL');
        }
    }
    const store = openStore(t, { storageDirectory });
    assert.equal(store.length, 6);
});

/**
 * The longest time in milliseconds that the event loop stood still while a consumer read 100,000 events and stored its state, in a
 * process of its own; the least of three, for others want the machine as well. With the longest time that it took to store it.
 */
function standstill(t, environment) {
    let least = null;
    for (let attempt = 0; attempt < 3 && !(least?.longest < 50); ++attempt) {
        const program = `
            import { once } from 'node:events';
            import EventStore from 'varve';
            const store = new EventStore('store', { storageDirectory: ${JSON.stringify(directoryFor(t))} });
            const count = 100_000;
            store.commit('foo', { n: -1 });
            const consumer = store.getConsumer('foo', 'one', { got: 0 });
            for (let n = 0; n < count; n += 1000) store.commit('foo', Array.from({ length: 1000 }, (_, k) => ({ n: n + k, text: 'x'.repeat(80) })));
            let [got, longest, stored] = [0, 0, 0];
            consumer.on('data', () => {
                if (++got === count + 1) consumer.setState({ got });
            });
            // One of them waits for the log, which is durable from then on.
            let asked = 0;
            consumer.on('progress', () => { asked = performance.now(); });
            consumer.on('persisted', () => { stored = Math.max(stored, performance.now() - asked); });
            let before = performance.now();
            setInterval(() => {
                const now = performance.now();
                longest = Math.max(longest, now - before);
                before = now;
            }, 1);
            for (;;) if ((await once(consumer, 'persisted'))[0].includes(String(count + 1))) break;
            console.log(JSON.stringify({ longest, stored }));
            process.exit(0);`;
        const text = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', env: { ...process.env, ...environment } });
        const one = JSON.parse(text);
        if (!least || one.longest < least.longest) least = one;
    }
    return least;
}

const sanitized = process.env.ASAN_OPTIONS !== undefined && 'a sanitizer makes everything slow';

test('the event loop goes on while a consumer reads a long store', { skip: sanitized }, t => {
    const { longest } = standstill(t, {});
    assert.ok(longest < 50, `${longest} ms`);
});

test('the event loop goes on while the disk takes long to sync', { skip: sanitized }, t => {
    const { longest, stored } = standstill(t, { LD_PRELOAD: `${import.meta.dirname}/slow_sync.so` });
    assert.ok(stored >= 300, `${stored} ms: the disk was not slow`);
    assert.ok(longest < 50, `${longest} ms`);
});
