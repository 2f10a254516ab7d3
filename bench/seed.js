// The original's side of seed-index and seed-storage: node-event-storage with its own settings, the documents of bench/seed_orders.cpp.
//
// One line in: SCENARIO READERS DIRECTORY BUDGET_S as-is|no-sync, with tabs between. One line out: operations, seconds by the clock and
// of processors; with a new store for each operation, then with one that stays open.
'use strict';
const fs = require('fs');
const readline = require('readline');
const {Storage, Index} = require('event-storage');

const WRITES = 1000;
const MOST_STEADY = 1000;
const sync = {fsyncSync: fs.fsyncSync, fdatasyncSync: fs.fdatasyncSync};

const order = (n) => ({
    type: 'OrderPlaced', number: n, customer: 'customer-' + n % 97, amount: n % 1000 / 4, express: n % 3 === 0,
    items: ['book', 'pencil'], placedAt: 1700000000000 + n
});
const orderSum = (o) => o.number + o.amount + (o.express ? 1 : 0) + o.type.length + o.customer.length + o.items[0].length +
    o.items[1].length + o.placedAt;
const entry = (n) => new Index.Entry(n, n * 160, 135, 1);
const entrySum = (e) => e.number + e.position + e.size + e.partition;

class StorageSubject {
    open(path) {
        this.storage = new Storage('storage', {dataDirectory: path});
        this.storage.open();
    }
    write(first) {
        for (let n = first; n < first + WRITES; ++n) this.storage.write(order(n));
    }
    read(first) {
        let sum = 0;
        for (const document of this.storage.readRange(first, first + WRITES - 1)) sum += orderSum(document);
        return sum;
    }
    expected(n) { return orderSum(order(n)); }
    close() { this.storage.close(); }
}

class IndexSubject {
    open(path) {
        fs.mkdirSync(path, {recursive: true});
        this.index = new Index('index', {dataDirectory: path});
        this.index.open();
    }
    write(first) {
        for (let n = first; n < first + WRITES; ++n) this.index.add(entry(n));
    }
    read(first) {
        let sum = 0;
        for (const one of this.index.range(first, first + WRITES - 1)) sum += entrySum(one);
        return sum;
    }
    expected(n) { return entrySum(entry(n)); }
    close() { this.index.close(); }
}

function wantedFrom(subject, first) {
    let wanted = 0;
    for (let n = first; n < first + WRITES; ++n) wanted += subject.expected(n);
    return wanted;
}

function readAll(subject, first, wanted, readers) {
    for (let n = 0; n < readers; ++n) {
        const sum = subject.read(first);
        if (sum !== wanted) throw new Error(`what was read is not what was written: ${sum} and not ${wanted}, from ${first}`);
    }
}

const rest = () => new Promise((resolve) => setImmediate(resolve)); // what it has put off, not timed

function take(into, work) {
    const begin = process.hrtime.bigint();
    const cpu = process.cpuUsage();
    work();
    into.seconds += Number(process.hrtime.bigint() - begin) / 1e9;
    const used = process.cpuUsage(cpu);
    into.cpu += (used.user + used.system) / 1e6;
    ++into.operations;
}

async function round(scenario, readers, path, budget) {
    const subject = scenario === 'seed-storage' ? new StorageSubject() : new IndexSubject();
    const cycles = {operations: 0, seconds: 0, cpu: 0};
    const steady = {operations: 0, seconds: 0, cpu: 0};
    let wanted = wantedFrom(subject, 1);
    while (cycles.seconds < budget) {
        const one = path + '-' + cycles.operations;
        take(cycles, () => {
            subject.open(one);
            subject.write(1);
            subject.close();
            subject.open(one);
            readAll(subject, 1, wanted, readers);
            subject.close();
        });
        await rest();
    }
    subject.open(path);
    while (steady.seconds < budget && steady.operations < MOST_STEADY) {
        const first = steady.operations * WRITES + 1;
        wanted = wantedFrom(subject, first);
        take(steady, () => {
            subject.write(first);
            readAll(subject, first, wanted, readers);
        });
        await rest();
    }
    subject.close();
    await rest();
    return [cycles, steady].map((taken) => `${taken.operations} ${taken.seconds} ${taken.cpu}`).join(' ');
}

async function main() {
    for await (const line of readline.createInterface({input: process.stdin})) {
        const [scenario, readers, directory, budget, how] = line.split('\t');
        Object.assign(fs, how === 'no-sync' ? {fsyncSync: () => {}, fdatasyncSync: () => {}} : sync);
        process.stdout.write(await round(scenario, Number(readers), directory + '/node-' + how, Number(budget)) + '\n');
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
