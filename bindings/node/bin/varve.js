#!/usr/bin/env node
// npx varve: runs the command line program that is in the package, with the libraries that it needs beside it.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const place = fileURLToPath(new URL(`../prebuilds/${process.platform}-${process.arch}/`, import.meta.url));
const libraries = [path.join(place, 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(path.delimiter);
const done = spawnSync(path.join(place, 'varve'), process.argv.slice(2), {
    stdio: 'inherit', env: { ...process.env, LD_LIBRARY_PATH: libraries },
});
if (done.error) {
    console.error(`varve: the command line program does not run here (${process.platform}-${process.arch}): ${done.error.message}`);
    process.exitCode = 1;
} else if (done.signal) {
    process.kill(process.pid, done.signal);
} else {
    process.exitCode = done.status;
}
