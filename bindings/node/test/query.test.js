// Goal: selectors, queries and their conditions. Method: normal forms by a table; every query against a filter in JavaScript.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OptimisticConcurrencyError } from 'varve';
import { openStore } from './support.js';

const values = stream => stream.events.map(payload => payload.n);

function courses(t) {
    const store = openStore(t, { typeAccessor: 'type', tagsAccessor: 'tags' });
    const events = [];
    for (let n = 1; n <= 40; ++n)
        events.push({ n, type: ['Defined', 'Subscribed', 'Left'][n % 3], tags: [`course/c${n % 4}`, `student/s${n % 5}`] });
    for (const event of events) store.commit(`stream-${event.n % 2}`, event);
    return { store, events };
}

test('normal forms of selectors', t => {
    const { store } = courses(t);
    const table = [
        [['a'], ['a']], [[['a', 'b']], [['a', 'b']]], [[[['a', 'b']]], ['a', 'b']], [['a', ['b', '_all']], ['a', ['b']]],
        [[['a', '_all'], 'b'], [['a'], 'b']], [[['a', ['b', '_all']]], ['a']], [[['a', ['b', 'b']]], [['a', 'b']]], [[['_all', '_all']], ['_all']],
        [['a', [[['x']]], 'b'], ['a', 'x', 'b']], [[['a', 'b'], ['a', 'b']], [['a', 'b'], ['a', 'b']]], [[['a'], ['b']], ['a', 'b']],
    ];
    for (const [selector, expected] of table)
        assert.deepEqual(store.query(selector).condition.selector, expected, JSON.stringify(selector));
});

test('queries', t => {
    const { store, events } = courses(t);
    const has = (event, { types = [], tags = [] }) => (types.length === 0 || types.includes(event.type)) && tags.every(tag => event.tags.includes(tag));
    const queries = [
        [{ types: ['Defined'] }], [{ types: ['Defined', 'Left'] }], [{ tags: ['course/c1'] }], [{ types: ['Left'], tags: ['course/c1', 'student/s2'] }],
        [{ types: ['Defined'], tags: ['course/c1'] }, { tags: ['student/s3'] }], [{ types: ['Nope'] }], [{ tags: ['nope'] }, { types: ['Left'] }], [{}],
    ];
    for (const items of queries) {
        const expected = events.filter(event => items.some(item => has(event, item))).map(event => event.n);
        const { stream, condition } = store.query({ items });
        assert.deepEqual(values(stream), expected, JSON.stringify(items));
        assert.equal(condition.noneMatchAfter, 40);
        assert.deepEqual(values(store.query({ items }, payload => payload.n % 2 === 1).stream), expected.filter(n => n % 2 === 1));
        assert.deepEqual(values(store.query({ items }, null, 20).stream), expected.filter(n => n >= 20));
    }
    assert.deepEqual(values(store.query([['stream-0', ['Left', 'Defined'], 'tags/course/c0']]).stream),
        events.filter(event => event.n % 2 === 0 && event.type !== 'Subscribed' && event.tags.includes('course/c0')).map(event => event.n));
    assert.deepEqual(values(store.query([['stream-0', []]]).stream), []);
});

test('queries that can not be', t => {
    const { store } = courses(t);
    const plain = openStore(t);
    const table = [
        [store, [], 'Must specify a non-empty array of stream selectors for query.'],
        [store, 'foo', 'Must specify a non-empty array of stream selectors for query.'],
        [store, { items: [] }, "DcbQuery.items must be a non-empty array. Use ['_all'] for an unconstrained read."],
        [store, { items: [null] }, 'DcbQuery item must be an object, got null'],
        [store, { items: [{ tags: 'x' }] }, 'DcbQuery item.tags must be an array or undefined, got string'],
        [store, { items: [{ types: 7 }] }, 'DcbQuery item.types must be an array or undefined, got number'],
        [plain, { items: [{ types: ['A'] }] }, 'DcbQuery references "types" but typeAccessor not configured.'],
        [plain, { items: [{ tags: ['x'] }] }, 'DcbQuery references "tags" but tagsAccessor not configured.'],
    ];
    for (const [one, query, message] of table) assert.throws(() => one.query(query), { message });
});

test('accessors that can not be, and names they make', t => {
    assert.throws(() => openStore(t, { typeAccessor: () => 'x' }), { message: "typeAccessor must be a dot-notation string path (e.g. 'type')." });
    assert.throws(() => openStore(t, { tagsAccessor: 7 }), { message: "tagsAccessor must be a dot-notation string path (e.g. 'tags')." });
    assert.throws(() => openStore(t, { streamSources: [{ nameBuilder: String }] }), { message: 'Each streamSources entry must have a non-empty string path.' });
    assert.throws(() => openStore(t, { streamSources: [{ path: 'a' }] }), { message: 'Each streamSources entry must have a nameBuilder function.' });
    const store = openStore(t, { typeAccessor: 'type' });
    assert.throws(() => store.commit('foo', { type: 'not a name' }), { message: 'Invalid stream name "not a name" derived from path "type".' });
    assert.equal(store.length, 0);
});

test('streams by other values', t => {
    const store = openStore(t, { streamSources: [{ path: 'order.customer', nameBuilder: id => `customer-${id}` }, { path: 'labels', nameBuilder: label => `label/${label}` }] });
    store.commit('foo', [{ n: 1, order: { customer: '7' } }, { n: 2, labels: ['a', 'b'] }, { n: 3, order: { customer: '7' }, labels: ['b'] }, { n: 4, order: null }]);
    assert.deepEqual(values(store.getEventStream('customer-7')), [1, 3]);
    assert.deepEqual(values(store.getEventStream('label/b')), [2, 3]);
    assert.deepEqual(values(store.fromStreams('join', [['customer-7', 'label/b']])), [3]);
    assert.deepEqual(values(store.getEventStreamForCategory('foo')), [1, 2, 3, 4]);
});

test('the condition of a query guards a decision', t => {
    const { store } = courses(t);
    const { stream, condition } = store.query({ items: [{ types: ['Defined'], tags: ['course/c1'] }] });
    assert.ok(stream.events.length > 0);
    store.commit('stream-0', { n: 41, type: 'Defined', tags: ['course/c2'] }, condition);
    store.commit('stream-0', { n: 42, type: 'Defined', tags: ['course/c1'] }, condition);
    assert.throws(() => store.commit('stream-0', { n: 43, type: 'Defined', tags: ['course/c1'] }, condition), error => {
        assert.ok(error instanceof OptimisticConcurrencyError);
        assert.equal(error.event.payload.n, 42);
        assert.equal(error.position, 42);
        assert.equal(error.type, 'Defined');
        return true;
    });
    assert.equal(store.length, 42);
});

test('a stream that came into being since the query counts', t => {
    const store = openStore(t, { typeAccessor: 'type', tagsAccessor: 'tags' });
    store.commit('foo', { type: 'A', tags: [] });
    const { condition } = store.query({ items: [{ types: ['B'], tags: ['x'] }] });
    store.commit('foo', { type: 'B', tags: ['y'] }, condition);
    store.commit('foo', { type: 'B', tags: ['x'] });
    assert.throws(() => store.commit('foo', { type: 'C' }, condition), OptimisticConcurrencyError);
});

test('a condition whose matcher throws refuses the commit, whatever compat says', t => {
    for (const compat of [false, true]) {
        const store = openStore(t, { compat });
        store.commit('foo', { n: 1 });
        const { condition } = store.query(['foo'], payload => payload.missing.n === 1);
        condition.noneMatchAfter = 0;
        assert.throws(() => store.commit('foo', { n: 2 }, condition), TypeError);
        assert.equal(store.length, 1);
    }
});
