// Goal: what people write has types, and what would be wrong is refused. Method: tsc over this file; a line that must not compile
// is marked, and tsc complains if it does.
import EventStore, {
    CommitCondition, Consumer, EventStore as Named, EventStream, ExpectedVersion, Index, JoinEventStream, OptimisticConcurrencyError, Partition, Storage,
    StorageLockedError, VERSION, buildRawBufferMatcher, matches,
} from 'varve';

const store: Named = new EventStore('shop', { storageDirectory: './data', typeAccessor: 'type', durability: 'disk' });
new EventStore({ convert: true });
new EventStore({ readOnly: true, streamSources: [{ path: 'a', nameBuilder: value => value }] });
store.on('ready', () => {});
store.on('commit', commit => commit.events.length + commit.streamVersion);

store.commit('foo', { a: 1 });
store.commit('foo', [{ a: 1 }], ExpectedVersion.EmptyStream, { user: 'ann' }, commit => commit.commitId);
store.commit('foo', [{ a: 1 }], { user: 'ann' }, commit => commit.streamName);
store.commit('foo', [{ a: 1 }], commit => commit.streamName);

const stream = store.getEventStream<{ a: number }>('foo', 1, -1, payload => payload.a === 1);
if (stream) {
    for (const payload of stream.from(2).following(3).backwards()) payload.a.toFixed();
    const document = stream.next();
    if (document) document.metadata.streamVersion.toFixed();
    stream.forEach((payload, metadata, name) => [payload.a, metadata.commitId, name.length]);
    const again: EventStream<{ a: number }> = stream.where({ payload: { a: { $gt: 1 } } }).reset();
    again.pipe(process.stdout);
}
const raw = store.getEventStream('foo', 1, -1, null, true);
if (raw) for (const line of raw) line.subarray(0, 1);

const { stream: found, condition } = store.query({ items: [{ types: ['A'], tags: ['x'] }] });
const joined: JoinEventStream = found;
store.commit('foo', joined.events, condition);
store.commit('foo', { a: 1 }, new CommitCondition(['foo', ['bar', 'baz']], null, 7));
try {
    store.commit('foo', { a: 1 }, 3);
} catch (error) {
    if (error instanceof OptimisticConcurrencyError) error.event?.payload;
    if (error instanceof StorageLockedError) error.holder?.length;
}
matches({ a: 1 }, { a: [1, 2] });
buildRawBufferMatcher({ a: { $has: 'x' } })(Buffer.from('{}'));
store.streams.foo?.index.length.toFixed();
VERSION.length;

// @ts-expect-error an expected version is no text
store.commit('foo', { a: 1 }, '3', {}, () => {});
// @ts-expect-error a durability that does not exist
new EventStore('shop', { durability: 'maybe' });
// @ts-expect-error the stream may not be there
store.getEventStream('foo').events;
// @ts-expect-error the map of streams is not written to
store.streams.foo = undefined;
// @ts-expect-error a selector is an array
store.fromStreams('join', 'foo');

const consumer = store.getConsumer('foo', 'sum', { sum: 0 });
consumer.on('data', ({ payload }) => consumer.setState(state => ({ sum: state.sum + payload.n })));
consumer.on('progress', (position, state) => position + state.sum);
store.scanConsumers((error, found) => error ?? found.map(one => one.identifier));
for await (const document of store.follow(['foo'], { since: 3, signal: AbortSignal.timeout(1) })) document.metadata.commitId.toFixed();
for await (const document of store.follow('_all', { raw: true })) document.buffer.length;
for (const batch of store.getAllEvents<{ n: number }>().batches(100)) batch[0].n.toFixed();
const committed = await store.commitAsync('foo', { n: 1 }, -1, { user: 'ann' }, { durability: 'disk' });
if (committed) committed.commitId.toFixed();
// @ts-expect-error there may have been no events
committed.commitId;
// @ts-expect-error a durability that does not exist
await store.commitAsync('foo', { n: 1 }, -1, {}, { durability: 'maybe' });
(await store.verify({ progress: (done, total) => done / total, signal: AbortSignal.timeout(1) })).damaged.map(({ file, what }) => file + what);
(await store.backup('./copy.varve', { link: true, verify: true })).end.toFixed();
(await store.stats()).logBytes.toFixed();
store.makeReadOnly();
store.createEventStream('even', document => document.payload.n % 2 === 0);
store.createEventStream('ann', { metadata: { user: 'ann' } }, false);
store.closeEventStream('ann');
store.deleteEventStream('ann');
store.preCommit((document, { owner }) => [document.payload, owner]);
store.preRead((position, { owner }) => [position, owner]);
// @ts-expect-error a matcher is a function or an object
store.createEventStream('even', 'even');
// @ts-expect-error a state of another kind
consumer.setState({ total: 1 });

const storage = new Storage<{ n: number }>('st', { dataDirectory: './data', partitioner: ({ n }, number) => `p${n + number}`, lock: Storage.LOCK_RECLAIM });
storage.open(() => storage.write({ n: 1 }, () => {}));
const index: Index = storage.ensureIndex('even', (document: { n: number }) => document.n % 2 === 0);
for (const { n } of storage.readRange(1, -1, index)) n.toFixed();
for (const { buffer, time64 } of storage.readRange(1, -1, false, true)) buffer.length + time64;
index.add(new Index.Entry(1, 0, 7, Partition.idFor('st')), place => place.toFixed());
const entry = index.get(1);
if (entry) entry.number + entry.position;
const partition = new Partition('st.p', { metadata: { owner: 'ann' } });
partition.write('text', 0, () => {});
for (const { data, header } of partition.readRange(0, 10)) data.length + header.sequenceNumber;
const reader = new Storage.ReadOnly('st');
reader.on('wrote', () => {});
new Consumer(storage, 'even', 'sum', { sum: 0 }).on('data', () => {});
new Consumer(reader, '_all', 'all', 30).start();
if (store.format === 'event-storage') store.readOnly.valueOf();
reader.openIndex('even').on('append', (before, after) => after - before);
// @ts-expect-error a reader does not write
reader.write({ n: 1 });
// @ts-expect-error of ReadOnlyIndex there is the type alone
import { ReadOnlyIndex } from 'varve'; new ReadOnlyIndex('x');
// @ts-expect-error documents have a type
storage.write({ m: 1 });
