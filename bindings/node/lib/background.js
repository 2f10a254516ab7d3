// What goes on in the background, on other threads, while JavaScript goes on: one sync for all commits that wait for one, and calls
// that look after a store. Whoever waits gets an answer, also if the store is closed meanwhile.
import path from 'node:path';
import { syncFile } from './journal.js';

const LOOK_MS = 20;  // between two looks at how far a call has come

function closedError() {
    const error = new Error('The store was closed before the call was done.');
    error.code = 'closed';
    return error;
}

/** Files and directories that a store consists of from the beginning: made without a sync, they may be gone after a power cut. */
async function syncNames(place) {
    for (const name of ['varve', 'manifest', 'log', '.', '..']) await syncFile(path.join(place, name));
}

/** Commits that wait until they are on the disk. Those of one turn, and those that come while a sync is under way, share the next one. */
export class GroupSync {
    #native;
    #journal;
    #place;
    #named = false;
    #waiting = [];
    #running = null;
    #ended = false;

    constructor(native, journal, place) {
        this.#native = native;
        this.#journal = journal;
        this.#place = place;
    }

    /** A promise for everything that was committed up to now. */
    join() {
        return new Promise((resolve, reject) => {
            this.#waiting.push({ resolve, reject });
            if (this.#waiting.length === 1 && !this.#running) process.nextTick(() => this.#begin());
        });
    }

    /** Somebody waits. */
    get pending() {
        return this.#running !== null || this.#waiting.length > 0;
    }

    #begin() {
        if (this.#ended || this.#running || this.#waiting.length === 0) return;
        this.#running = this.#waiting;
        this.#waiting = [];
        this.#sync().then(() => this.#settle(null), error => this.#settle(error));
    }

    async #sync() {
        if (!this.#named) await syncNames(this.#place);
        this.#named = true;
        if (this.#ended) return;
        await new Promise((resolve, reject) => this.#native.syncLater(error => error ? reject(error) : resolve()));
        if (!this.#ended) await this.#journal.syncLater();
    }

    #settle(error) {
        if (this.#ended) return;
        const group = this.#running;
        this.#running = null;
        for (const { resolve, reject } of group) error ? reject(error) : resolve();
        this.#begin();
    }

    /** The store is closed: everything is on the disk, unless there was an error. */
    end(error = null) {
        if (this.#ended) return;
        this.#ended = true;
        for (const { resolve, reject } of [...this.#running ?? [], ...this.#waiting]) error ? reject(error) : resolve();
        this.#running = null;
        this.#waiting = [];
    }
}

/** Calls of the addon that report how far they are, and can be ended. */
export class LongCalls {
    #running = new Set();

    /**
     * `begin(cells, callback)` starts one. `progress(done, total)` is told in later turns how far it is; it ends with the reason of
     * `signal`.
     */
    run(begin, { progress = null, signal = null } = {}) {
        signal?.throwIfAborted();
        // What is done, what there is in all, and whether it shall end.
        const cells = new BigUint64Array(new SharedArrayBuffer(24));
        return new Promise((resolve, reject) => {
            let told = -1;
            const tell = () => {
                const [done, total] = [Number(Atomics.load(cells, 0)), Number(Atomics.load(cells, 1))];
                if (done === told || total === 0) return;
                told = done;
                progress(done, total);
            };
            let why = null;
            const end = reason => {
                why ??= { reason };
                Atomics.store(cells, 2, 1n);
            };
            const abort = () => end(signal.reason);
            const look = () => {
                try {
                    tell();
                } catch (error) {
                    end(error);
                }
            };
            const timer = progress ? setInterval(look, LOOK_MS) : null;
            const leave = () => {
                clearInterval(timer);
                signal?.removeEventListener('abort', abort);
                this.#running.delete(end);
            };
            try {
                begin(cells, (error, answer) => {
                    leave();
                    if (progress && !why) look();
                    if (why) reject(why.reason);
                    else if (error) reject(error);
                    else resolve(answer);
                });
            } catch (error) {
                leave();
                throw error;
            }
            signal?.addEventListener('abort', abort);
            this.#running.add(end);
        });
    }

    /** Those that are under way end, with an error that says that the store was closed. */
    end() {
        for (const end of this.#running) end(closedError());
    }
}
