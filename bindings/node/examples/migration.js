// From event-storage: node migration.js DIRECTORY [NAME], with the directory and the name that the old store was opened with.
import EventStore from 'varve';

const storageDirectory = process.argv[2] ?? './data';
const name = process.argv[3] ?? 'eventstore';

/** Number of events by stream, and all payloads in their order. */
function contentOf(store) {
    const found = {};
    const everything = [];
    store.getAllEvents().forEach((payload, metadata, stream) => {
        found[stream] = (found[stream] ?? 0) + 1;
        everything.push(payload);
    });
    return { found, text: JSON.stringify(everything) };
}

// As it is: nothing is changed, nothing can be committed. The old program may go on writing meanwhile.
const before = new EventStore(name, { storageDirectory });
if (before.format !== 'event-storage') throw new Error(`${name} in ${storageDirectory} is a varve store already.`);
const old = contentOf(before);
console.log(`${before.format}, read only: ${before.length} events, ${JSON.stringify(old.found)}`);
before.close();

// Once and for all. Give the accessors that the old program gave. The old files stay, untouched.
const store = new EventStore(name, { storageDirectory, convert: true });
const now = contentOf(store);
if (now.text !== old.text) throw new Error('The contents differ.');
console.log(`${store.format}: ${store.length} events, ${JSON.stringify(now.found)}`);
store.commit('migration', { done: true });
console.log(`goes on: ${store.length} events`);
store.close();
