// Benchmark of the package against event-storage 0.8.0: node bench [--json] [--rounds N] [--events N] [--only NAME,…] [--no-peer]
//
// Method: every measurement is a process of its own (bench/measure.js), the two packages in turn and in both orders, round by round;
// the figure is the median of the rounds, with the least and the most. What is written and read is the same for both: payloads of
// about 103 bytes of JSON; stringify and parse are inside the measurement. Where the peer has no such thing it says null.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SCENARIOS } from './scenarios.js';

const { values: options } = parseArgs({
    options: {
        json: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '5' },
        events: { type: 'string', default: '100000' },
        streams: { type: 'string', default: '2000' },
        only: { type: 'string', default: '' },
        directory: { type: 'string', default: os.tmpdir() },
        'no-peer': { type: 'boolean', default: false },
    },
});

const rounds = Number(options.rounds);
const only = options.only === '' ? Object.keys(SCENARIOS) : options.only.split(',');
const unknown = only.filter(name => !(name in SCENARIOS));
if (unknown.length > 0 || !(rounds > 0)) {
    console.error(`bench: ${unknown.length > 0 ? `there is no scenario ${unknown.join(', ')}` : '--rounds must be at least 1'}; scenarios: ${Object.keys(SCENARIOS).join(', ')}`);
    process.exit(2);
}
const place = fs.mkdtempSync(path.join(options.directory, 'varve-node-bench-'));
const program = path.join(import.meta.dirname, 'measure.js');

function measure(peer, task, scenario) {
    const args = [program, peer, task, scenario, path.join(place, peer), options.events, options.streams];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 20 }));
}

function summary(measured) {
    if (measured.length === 0) return null;
    const rates = measured.map(({ count, seconds }) => count / seconds).sort((a, b) => a - b);
    const middle = Math.floor(rates.length / 2);
    const median = rates.length % 2 === 1 ? rates[middle] : (rates[middle - 1] + rates[middle]) / 2;
    return { perSecond: Math.round(median), least: Math.round(rates[0]), most: Math.round(rates.at(-1)),
        milliseconds: Number((1000 * measured[0].count / median).toFixed(3)), count: measured[0].count,
        rssMegabytes: Math.max(...measured.map(({ rss }) => Math.round(rss / 1e6))) };
}

function run(name) {
    const all = { varve: [], 'event-storage': [] };
    for (let round = 0; round < rounds; ++round) {
        const peers = options['no-peer'] || SCENARIOS[name].peer === false ? ['varve'] : ['varve', 'event-storage'];
        if (round % 2 === 1) peers.reverse();
        for (const peer of peers) all[peer].push(measure(peer, 'measure', name));
    }
    const [own, other] = [summary(all.varve), summary(all['event-storage'])];
    return { scenario: name, what: SCENARIOS[name].what, varve: own, 'event-storage': other,
        factor: other ? Number((own.perSecond / other.perSecond).toFixed(1)) : null };
}

try {
    for (const peer of options['no-peer'] ? ['varve'] : ['varve', 'event-storage']) measure(peer, 'prepare', '-');
    const results = [];
    for (const name of only) {
        const result = run(name);
        results.push(result);
        if (options.json) continue;
        const show = one => one ? `${one.perSecond.toLocaleString('en').padStart(12)}/s (${one.least}–${one.most})` : '           –';
        console.log(`${name.padEnd(16)} varve ${show(result.varve)}  event-storage ${show(result['event-storage'])}  ${result.factor ?? ''}`);
    }
    if (options.json) {
        const { version } = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, '../package.json'), 'utf8'));
        console.log(JSON.stringify({ varve: version, peer: '0.8.0', node: process.version, cpu: os.cpus()[0].model, rounds,
            events: Number(options.events), results }, null, 2));
    }
} finally {
    fs.rmSync(place, { recursive: true, force: true });
}
