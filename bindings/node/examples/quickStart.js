// Commits, streams and ranges: node quickStart.js [DIRECTORY]
import EventStore, { ExpectedVersion, OptimisticConcurrencyError } from 'varve';

const store = new EventStore('shop', { storageDirectory: process.argv[2] ?? './data', typeAccessor: 'type' });

// A commit is stored as a whole, or not at all. The third argument says which version of the stream it goes on from.
const first = [{ type: 'Placed', total: 99 }, { type: 'Paid', amount: 99 }];
try {
    store.commit('order-1', first, ExpectedVersion.EmptyStream, { user: 'ann' });
} catch (error) {
    if (!(error instanceof OptimisticConcurrencyError)) throw error;
    console.log(`order-1 is there already, at version ${error.version}`);
}
store.commit('order-2', { type: 'Placed', total: 5 });

// What was committed can be read at once: a stream by its name, one per type, a category, everything.
for (const payload of store.getEventStream('order-1')) console.log('order-1:', payload.type);
for (const payload of store.getEventStream('Placed')) console.log('placed:', payload.total);
for (const payload of store.getEventStreamForCategory('order').last(1)) console.log('last:', payload.type);
store.getAllEvents().backwards().forEach((payload, metadata, stream) => console.log(stream, metadata.streamVersion, payload.type));

// Without parsing anything: lines of JSON.
for (const line of store.getEventStream('order-2', 1, -1, null, true)) console.log(JSON.parse(line).payload);
store.close();
