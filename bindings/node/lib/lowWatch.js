// Watches directories and what is below them: one watcher per directory, however many want to know.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

const shared = new Map();  // root -> Tree

class Tree extends EventEmitter {
    #watchers = new Map();  // directory, relative to the root -> FSWatcher
    users = 0;

    constructor(root) {
        super();
        this.setMaxListeners(0);
        this.root = root;
        this.#watch('', false);
    }

    #watch(relative, tell) {
        if (this.#watchers.has(relative)) return;
        let watcher;
        try {
            watcher = fs.watch(path.join(this.root, relative));
        } catch (error) {
            if (relative !== '' && error.code === 'ENOENT') return;
            throw error;
        }
        this.#watchers.set(relative, watcher);
        watcher.on('change', (kind, name) => name !== null && this.#changed(kind, path.join(relative, name)));
        watcher.on('error', () => this.#drop(relative));
        for (const entry of fs.readdirSync(path.join(this.root, relative), { withFileTypes: true })) {
            const name = path.join(relative, entry.name);
            if (entry.isDirectory()) this.#watch(name, tell);
            else if (tell) this.emit('change', 'rename', name);
        }
    }

    #drop(relative) {
        this.#watchers.get(relative)?.close();
        this.#watchers.delete(relative);
    }

    #changed(kind, name) {
        if (kind === 'rename') {
            const found = fs.statSync(path.join(this.root, name), { throwIfNoEntry: false });
            // What came into it before it was watched is told of now.
            if (found?.isDirectory()) return this.#watch(name, true);
            if (!found && this.#watchers.has(name)) return this.#drop(name);
        }
        this.emit('change', kind, name);
    }

    close() {
        for (const watcher of this.#watchers.values()) watcher.close();
        this.#watchers.clear();
    }
}

/**
 * Calls `listener(kind, name)` for changes of files below `root`: `change`, or `rename` where a name comes or goes. `name` is
 * relative to it. Returns what ends it. The process stays alive meanwhile.
 */
export function watchBelow(root, listener) {
    const real = fs.realpathSync(root);
    let tree = shared.get(real);
    if (!tree) shared.set(real, tree = new Tree(real));
    ++tree.users;
    tree.on('change', listener);
    let ended = false;
    return () => {
        if (ended) return;
        ended = true;
        tree.off('change', listener);
        if (--tree.users > 0) return;
        shared.delete(real);
        tree.close();
    };
}

/** The same for one file: `listener(kind)`. */
export function watchFile(fileName, listener) {
    const own = path.basename(fileName);
    return watchBelow(path.dirname(fileName), (kind, name) => name === own && listener(kind));
}
