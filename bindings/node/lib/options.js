// What a store is told when it is opened and when something is committed, as event-storage takes it.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { StorageLockedError, invalidArgument } from './errors.js';
import { Store } from './native.js';
import { CommitCondition } from './selector.js';

export const ExpectedVersion = Object.freeze({ Any: -1, EmptyStream: 0 });

/** Numbers of a commit, which the addon and eventStore.js tell each other: as in src/store_commit.cpp. */
export const COMMIT = Object.freeze({ count: 0, committedAt: 1, expected: 2, lookedForNull: 3, version: 4, length: 5 });

const DURABILITY = ['os', 'interval', 'disk'];

export function expand(directory) {
    return path.resolve(directory.startsWith('~/') ? path.join(os.homedir(), directory.slice(2)) : directory);
}

export function durabilityOf(config, storageConfig) {
    const level = config.durability ?? (storageConfig.syncOnFlush ? 'disk' : 'os');
    if (!DURABILITY.includes(level)) throw invalidArgument(`durability must be one of ${DURABILITY.join(', ')}, got ${level}`);
    return level;
}

/** Opens the store of the addon, with the errors that event-storage has. */
export function openNative(place, name, readOnly, durability, numbers) {
    try {
        // Those who commit wait for the disk themselves, here or on another thread; a store that is made is on it at once.
        const waits = durability === 'disk' && !readOnly;
        if (waits && !fs.existsSync(path.join(place, 'varve'))) new Store(place, false, true, durability).close();
        return new Store(place, readOnly, !readOnly, waits ? 'os' : durability, numbers);
    } catch (error) {
        if (error.code === 'locked') throw new StorageLockedError(`Storage ${name} is locked by another process`, error.message);
        throw error;
    }
}

const MOST_NAME = 1000;  // bytes of a derived stream's name, which is part of a tag

export function checkStreamName(name) {
    if (typeof name !== 'string' || name === '' || /[\u0000-\u001f\u007f]/.test(name) || Buffer.byteLength(name) > MOST_NAME)
        throw invalidArgument(`A stream's name has 1 to ${MOST_NAME} bytes and no control characters, got ${JSON.stringify(name)}.`);
}

/** What every commit is told to do, however its arguments were given. */
export function commitArguments(events, expectedVersion, metadata, callback) {
    if (typeof expectedVersion !== 'number' && !(expectedVersion instanceof CommitCondition)) {
        [metadata, callback] = [expectedVersion, metadata];
        expectedVersion = ExpectedVersion.Any;
    }
    if (typeof metadata !== 'object') {
        callback = metadata;
        metadata = {};
    }
    return {
        events: Array.isArray(events) ? events : [events],
        expectedVersion,
        metadata: metadata ?? {},
        callback: typeof callback === 'function' ? callback : null,
    };
}
