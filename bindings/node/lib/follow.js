// Following: documents that are there, then those that come, for `for await`.
import { JoinEventStream } from './eventStream.js';

/** One that waits is woken by what is committed, by the end of the store, and by its signal. */
export class Following {
    #eventStore;
    #engine;
    #selector;
    #position;
    #last = 0;      // position of what was handed out last
    #signal;
    #raw;
    #stream = null;
    #wake = null;
    #ended = false;

    constructor(eventStore, engine, selector, { since, signal, raw }) {
        this.#eventStore = eventStore;
        this.#engine = engine;
        this.#selector = selector;
        this.#position = since;
        this.#signal = signal;
        this.#raw = raw;
    }

    /** @internal */
    notify() {
        this.#wake?.();
    }

    /** @internal */
    reopened() {
        // What the stream holds was of the store as it was opened before.
        if (!this.#stream) return;
        this.#position = this.#last;
        this.#stream = null;
        this.#wake?.();
    }

    /** @internal */
    end() {
        this.#ended = true;
        this.#wake?.();
    }

    // Everything up to #position was handed out; the stream goes on behind it, as far as there was something. Null: there may be more.
    #next() {
        for (;;) {
            if (!this.#stream) {
                const length = this.#engine.length;
                if (this.#position >= length) return false;
                const end = Math.min(length, this.#position + this.#engine.followedAtOnce);
                this.#stream = new JoinEventStream('_follow', this.#selector, this.#eventStore, this.#position + 1, end, null, this.#raw);
                this.#stream.strict = this.#stream.complete = true;
                this.#last = this.#position;
                this.#position = end;
            }
            const document = this.#stream.next();
            if (document !== false) {
                this.#last = this.#stream.lastPosition;
                return document;
            }
            this.#stream = null;
            if (this.#position < this.#engine.length) return null;
        }
    }

    #wait() {
        return new Promise(resolve => {
            this.#wake = () => {
                this.#wake = null;
                resolve();
            };
        });
    }

    #over() {
        if (this.#ended) return true;
        this.#signal?.throwIfAborted();
        return false;
    }

    async *[Symbol.asyncIterator]() {
        const abort = () => this.#wake?.();
        this.#signal?.addEventListener('abort', abort);
        this.#engine.consumers.add(this);
        this.#engine.follow();
        try {
            while (!this.#over()) {
                const document = this.#next();
                if (document) yield document;
                else if (document === null) await new Promise(resolve => setImmediate(resolve));
                else await this.#wait();
            }
        } finally {
            this.#engine.consumers.delete(this);
            this.#signal?.removeEventListener('abort', abort);
        }
    }
}
