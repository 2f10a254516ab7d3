// What is measured: each scenario is a function of a context that does its work and answers how many events (or commits, or
// openings) it was. `context.timed(work)` measures; what is outside of it is not.

export function payload(n) {
    return { type: n % 10 === 0 ? 'OrderPlaced' : 'ItemAdded', id: n, customer: `customer-${n % 1000}`, amount: n % 997, text: 'an event of some length' };
}

function payloads(from, count) {
    return Array.from({ length: count }, (_, n) => payload(from + n));
}

/** Commits `count` times, and waits for all callbacks. */
function commits(store, count, events) {
    return new Promise(resolve => {
        let left = count;
        const done = () => {
            if (--left === 0) resolve();
        };
        for (let n = 0; n < count; ++n) store.commit('order-1', events === 1 ? payload(n) : payloads(n, events), done);
    });
}

async function commitScenario({ open, timed, events }, count, size, warm, config) {
    const store = await open('new', config);
    await commits(store, warm, size);
    await timed(() => commits(store, count(events), size));
    store.close();
    return count(events) * size;
}

/** One commit after the other, each acknowledged before the next. */
async function durable({ open, timed }) {
    const store = await open('new', { storageConfig: { syncOnFlush: true } });
    const one = n => new Promise(resolve => store.commit('order-1', payload(n), resolve));
    await one(0);
    const count = 200;
    await timed(async () => {
        for (let n = 0; n < count; ++n) await one(n);
    });
    store.close();
    return count;
}

/** Reads to the end; the payload is looked at. */
function drain(stream) {
    let count = 0;
    for (const event of stream) if (event) ++count;
    return count;
}

async function reading({ open, timed }, of) {
    const store = await open('full');
    drain(of(store));
    let count = 0;
    await timed(() => { count = drain(of(store)); });
    store.close();
    return count;
}

export const SCENARIOS = {
    'commit-single': { what: 'commits of one event with callbacks, level os', run: context => commitScenario(context, events => events / 2, 1, 2000) },
    'commit-batch': { what: 'commits of 100 events with callbacks, level os', run: context => commitScenario(context, events => events / 100, 100, 20) },
    'commit-durable': { what: 'commits of one event, each on the disk before the next', run: durable },
    scan: { what: 'all events, parsed', run: context => reading(context, store => store.getAllEvents()) },
    stream: { what: 'one stream of ten, parsed', run: context => reading(context, store => store.getEventStream('order-3')) },
    category: { what: 'a category of ten streams, parsed', run: context => reading(context, store => store.getEventStreamForCategory('order')) },
    join: { what: 'two streams of ten in the order of the store, parsed', run: context => reading(context, store => store.fromStreams('join', ['order-3', 'order-4'])) },
    filter: { what: 'one event in ten of all, by type; counted are the events that are there', run: async context => {
        const wanted = store => context.peer === 'varve'
            ? store.getAllEvents(1, -1, { payload: { type: 'OrderPlaced' } })
            : [...store.getAllEvents()].filter(event => event.type === 'OrderPlaced');
        await reading(context, wanted);
        return context.events;
    } },
    raw: { peer: false, what: 'all events as lines of JSON, not parsed', run: context => reading(context, store => store.getAllEvents(1, -1, null, true)) },
    pipe: { peer: false, what: 'the same, as a Readable that is read to its end', run: async ({ open, timed, events }) => {
        const store = await open('full');
        const piped = async () => {
            let bytes = 0;
            for await (const chunk of store.getAllEvents(1, -1, null, true)) bytes += chunk.length;
            return bytes;
        };
        const bytes = await piped();
        await timed(async () => {
            if (await piped() !== bytes) throw new Error('the same lines have another length');
        });
        store.close();
        return events;
    } },
    condition: { peer: false, what: 'query by type and tag with five answers, decide, commit on condition', run: async ({ open, timed }) => {
        const store = await open('new', { typeAccessor: 'type', tagsAccessor: 'tags' });
        const count = 5000;
        const decide = n => {
            const tag = `course-${n % 1000}`;
            const { stream, condition } = store.query({ items: [{ types: ['Enrolled'], tags: [tag] }] });
            if (stream.events.length < 5) store.commit(`student-${n}`, { type: 'Enrolled', tags: [tag], n }, condition);
        };
        for (let n = 0; n < 1000; ++n) decide(n);
        await timed(() => {
            for (let n = 0; n < count; ++n) decide(n);
        });
        store.close();
        return count;
    } },
    reopen: { what: 'opening a store of many streams until it is ready', run: async ({ open, timed }) => {
        let store;
        await timed(async () => { store = await open('many'); });
        store.close();
        return 1;
    } },
};
