// Goal: what npm makes of the package works where nothing else is. Method: npm pack, npm install --ignore-scripts into an empty
// directory without a network, then the same program as a module and with require, and the command line.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const place = fs.mkdtempSync(path.join(os.tmpdir(), 'varve-pack-'));
const run = (program, args, cwd = place) => execFileSync(program, args, { cwd, encoding: 'utf8', env: { ...process.env, npm_config_update_notifier: 'false' } });

const program = `
const store = new EventStore('shop', { storageDirectory: './data' });
store.commit('foo', [{ a: 1 }, { a: 2 }]);
console.log(JSON.stringify([EventStore.VERSION, store.length, store.getEventStream('foo').events]));
store.close();
`;

// The newest symbols that it asks of the system's libraries: Debian 12 and whatever is not older.
function checkFloor(addon) {
    const text = fs.readFileSync(addon, 'latin1');
    for (const [library, major, most] of [['GLIBC', '2', 36], ['GLIBCXX', '3\\.4', 30]]) {
        const found = [...text.matchAll(new RegExp(`${library}_${major}\\.(\\d+)`, 'g'))].map(match => Number(match[1]));
        assert.ok(found.length > 0 && Math.max(...found) <= most, `${library} ${Math.max(...found)}`);
    }
}

try {
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', place], path.resolve('.')));
    const names = packed.files.map(file => file.path);
    assert.ok(names.includes('index.d.ts') && names.some(name => /^prebuilds\/linux-\w+\/varve\.node$/.test(name)), names.join(' '));
    assert.ok(!names.some(name => /^(test|types|bench|node_modules)\/|binding\.gyp/.test(name)), names.join(' '));
    checkFloor(names.find(name => name.endsWith('.node')));
    const { scripts } = JSON.parse(fs.readFileSync('package.json', 'utf8'));
    assert.ok(!scripts?.install && !scripts?.preinstall && !scripts?.postinstall);
    fs.writeFileSync(path.join(place, 'package.json'), '{"private":true}\n');
    run('npm', ['install', '--ignore-scripts', '--offline', '--no-audit', '--no-fund', path.join(place, packed.filename)]);
    fs.writeFileSync(path.join(place, 'module.mjs'), `import EventStore from 'varve';${program}`);
    fs.writeFileSync(path.join(place, 'common.cjs'), `const EventStore = require('varve');${program}`);
    assert.deepEqual(JSON.parse(run(process.execPath, ['module.mjs'])).slice(1), [2, [{ a: 1 }, { a: 2 }]]);
    assert.deepEqual(JSON.parse(run(process.execPath, ['common.cjs'])).slice(1), [4, [{ a: 1 }, { a: 2 }, { a: 1 }, { a: 2 }]]);
    const stats = JSON.parse(run('npx', ['--offline', 'varve', 'stats', 'data/shop.varve', '--json']));
    assert.equal(stats.events, 4);
    assert.throws(() => run('npx', ['--offline', 'varve', 'stats', 'data/nothing.varve']), error => error.status > 0 && error.status < 128);
    console.log(`${packed.filename}: ${packed.files.length} files, ${packed.size} bytes`);
} finally {
    fs.rmSync(place, { recursive: true, force: true });
}
