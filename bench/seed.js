// The original's side of seed-index and seed-storage: node-event-storage with its own settings, the documents of bench/seed_orders.cpp.
//
// One line in: SCENARIO READERS DIRECTORY BUDGET_S as-is|no-sync. One line out: operations and seconds, with a new store each, then
// with one that stays open.
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

function readAll(subject, first, readers) {
    let wanted = 0;
    for (let n = first; n < first + WRITES; ++n) wanted += subject.expected(n);
    const begin = process.hrtime.bigint();
    for (let n = 0; n < readers; ++n)
        if (subject.read(first) !== wanted) throw new Error('what was read is not what was written');
    return Number(process.hrtime.bigint() - begin) / 1e9;
}

const rest = () => new Promise((resolve) => setImmediate(resolve)); // what it has put off, not timed

function timed(work) {
    const begin = process.hrtime.bigint();
    work();
    return Number(process.hrtime.bigint() - begin) / 1e9;
}

async function round(scenario, readers, path, budget) {
    const subject = scenario === 'seed-storage' ? new StorageSubject() : new IndexSubject();
    const all = {operations: 0, seconds: 0, steadyOperations: 0, steadySeconds: 0};
    while (all.seconds < budget) {
        all.seconds += timed(() => {
            subject.open(path);
            subject.write(1);
            subject.close();
            subject.open(path);
        });
        all.seconds += readAll(subject, 1, readers);
        all.seconds += timed(() => subject.close());
        ++all.operations;
        await rest();
        fs.rmSync(path, {recursive: true});
    }
    subject.open(path);
    while (all.steadySeconds < budget && all.steadyOperations < MOST_STEADY) {
        const first = all.steadyOperations * WRITES + 1;
        all.steadySeconds += timed(() => subject.write(first));
        all.steadySeconds += readAll(subject, first, readers);
        ++all.steadyOperations;
        await rest();
    }
    subject.close();
    await rest();
    fs.rmSync(path, {recursive: true});
    return all;
}

async function main() {
    for await (const line of readline.createInterface({input: process.stdin})) {
        const [scenario, readers, directory, budget, how] = line.split('\t');
        Object.assign(fs, how === 'no-sync' ? {fsyncSync: () => {}, fdatasyncSync: () => {}} : sync);
        const all = await round(scenario, Number(readers), directory + '/node', Number(budget));
        process.stdout.write(`${all.operations} ${all.seconds} ${all.steadyOperations} ${all.steadySeconds}\n`);
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
