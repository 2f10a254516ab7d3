// One measurement in a process of its own: node measure.js PEER prepare|measure SCENARIO DIRECTORY EVENTS STREAMS. Prints JSON.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SCENARIOS, payload } from './scenarios.js';

const [peer, task, scenario, directory, eventsText, streamsText] = process.argv.slice(2);
const [events, streams] = [Number(eventsText), Number(streamsText)];

const EventStore = peer === 'varve' ? (await import('../index.js')).default : createRequire(import.meta.url)('event-storage');

/** A store that is ready. Kind new: an empty one of its own; full and many: those that were prepared. */
function open(kind, config = {}) {
    const own = kind === 'new';
    const storageDirectory = path.join(directory, own ? `new-${process.pid}` : kind);
    fs.mkdirSync(storageDirectory, { recursive: true });
    if (own) process.on('exit', () => fs.rmSync(storageDirectory, { recursive: true, force: true }));
    const store = new EventStore('bench', { ...config, storageDirectory });
    return new Promise(resolve => store.on('ready', () => resolve(store)));
}

async function prepare() {
    const full = await open('full');
    for (let n = 0; n < events; n += 10)
        await new Promise(resolve => full.commit(`order-${(n / 10) % 10}`, Array.from({ length: 10 }, (_, k) => payload(n + k)), resolve));
    full.close();
    const many = await open('many');
    for (let n = 0; n < streams; ++n) await new Promise(resolve => many.commit(`stream-${n}`, payload(n), resolve));
    many.close();
    return { count: 1, seconds: 1 };
}

async function measure() {
    let seconds = 0;
    const timed = async work => {
        const begin = performance.now();
        await work();
        seconds = (performance.now() - begin) / 1000;
    };
    const count = await SCENARIOS[scenario].run({ open, timed, events, streams, peer });
    return { count, seconds };
}

const done = await (task === 'prepare' ? prepare() : measure());
console.log(JSON.stringify({ ...done, rss: process.memoryUsage().rss }));
