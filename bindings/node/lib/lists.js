// Lists of positions: what stands for a selector some of whose streams no index has.

// The place of the first that is not smaller.
function placeOf(list, position) {
    let [low, high] = [0, list.length];
    while (low < high) {
        const middle = (low + high) >>> 1;
        if (list[middle] < position) low = middle + 1;
        else high = middle;
    }
    return low;
}

/** Whether a sorted list has a position. */
export function holds(list, position) {
    return list[placeOf(list, position)] === position;
}

/** Those of a sorted list that lie between two positions, both inside: a view. */
export function between(list, from, until) {
    return list.subarray(placeOf(list, from), placeOf(list, until + 1));
}

/** Two lists, the second behind the first. */
export function joined(first, second) {
    if (first.length === 0) return second;
    const both = new Float64Array(first.length + second.length);
    both.set(first);
    both.set(second, first.length);
    return both;
}

function union(a, b) {
    const out = new Float64Array(a.length + b.length);
    let [i, k, n] = [0, 0, 0];
    while (i < a.length || k < b.length) {
        const next = k >= b.length || a[i] < b[k] ? a[i] : b[k];
        if (a[i] === next) ++i;
        if (b[k] === next) ++k;
        out[n++] = next;
    }
    return out.subarray(0, n);
}

function intersection(a, b) {
    return a.length <= b.length ? a.filter(position => holds(b, position)) : intersection(b, a);
}

/** The positions of a selector of names; `listOf(name)` gives those of one. The outermost array is an OR. */
export function evaluate(selector, depth, listOf) {
    if (!Array.isArray(selector)) return listOf(selector);
    const lists = selector.map(one => evaluate(one, depth + 1, listOf));
    if (lists.length === 0) return new Float64Array(0);
    return lists.reduce(depth % 2 === 0 ? union : intersection).slice();
}

/** Several cursors, one behind the other; each is a function that opens it. */
export class CursorChain {
    #parts;
    #cursor = null;

    constructor(parts) {
        // All of them see the store as it is now.
        this.#parts = parts.map(open => open());
    }

    fill(room, rows, want) {
        for (;;) {
            this.#cursor ??= this.#parts.shift() ?? null;
            if (!this.#cursor) return 0;
            const filled = this.#cursor.fill(room, rows, want);
            if (filled !== 0) return filled;
            this.#cursor.close();
            this.#cursor = null;
        }
    }

    close() {
        this.#cursor?.close();
        for (const part of this.#parts) part.close();
        this.#cursor = null;
        this.#parts = [];
    }
}
