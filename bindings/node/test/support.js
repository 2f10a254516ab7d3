// Directories and stores for one test, gone when it ends.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { EventStore } from 'varve';

export function directoryFor(t) {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'varve-node-'));
    t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
    return directory;
}

export function openStore(t, config = {}) {
    const storageDirectory = config.storageDirectory ?? directoryFor(t);
    const store = new EventStore(config.storeName ?? 'store', { ...config, storageDirectory });
    t.after(() => store.close());
    return store;
}

/** A store whose stream `foo` has the events {n: 1} … {n: count}. */
export function numbers(t, count, config = {}) {
    const store = openStore(t, config);
    store.commit('foo', Array.from({ length: count }, (_, n) => ({ n: n + 1 })));
    return store;
}

export function turn() {
    return new Promise(resolve => setImmediate(resolve));
}

/** Waits, at most some seconds, until something holds. */
export async function until(condition) {
    for (let n = 0; n < 2000 && !condition(); ++n) await new Promise(resolve => setTimeout(resolve, 2));
    assert.ok(condition());
}
