// The npm package varve: an event store for one process that writes and many that read.
import { readFileSync } from 'node:fs';
import { Consumer } from './lib/consumer.js';
import { EventStore } from './lib/eventStore.js';
import { OptimisticConcurrencyError, StorageLockedError } from './lib/errors.js';
import { EventStream, JoinEventStream } from './lib/eventStream.js';
import { Index } from './lib/lowIndex.js';
import { Partition } from './lib/lowPartition.js';
import { Storage } from './lib/lowWritable.js';
import { buildRawBufferMatcher, matches } from './lib/matcher.js';
import { ExpectedVersion } from './lib/options.js';
import { CommitCondition } from './lib/selector.js';

const LOCK_RECLAIM = 1;
const LOCK_THROW = 2;
const VERSION = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')).version;

EventStore.VERSION = VERSION;
EventStore.Storage = Storage;
EventStore.Index = Index;
EventStore.ExpectedVersion = ExpectedVersion;
EventStore.OptimisticConcurrencyError = OptimisticConcurrencyError;
EventStore.LOCK_RECLAIM = LOCK_RECLAIM;
EventStore.LOCK_THROW = LOCK_THROW;

export {
    buildRawBufferMatcher, CommitCondition, Consumer, EventStore, EventStream, ExpectedVersion, Index, JoinEventStream, LOCK_RECLAIM, LOCK_THROW,
    matches, OptimisticConcurrencyError, Partition, Storage, StorageLockedError, VERSION,
};
export default EventStore;
