// A projection that survives its process: node projection.js [DIRECTORY]. Run it again: it goes on where it was.
import { once } from 'node:events';
import EventStore from 'varve';

const store = new EventStore('bank', { storageDirectory: process.argv[2] ?? './data', typeAccessor: 'type' });
store.commit('account-1', [{ type: 'Deposited', amount: 50 }, { type: 'Withdrawn', amount: 20 }]);
store.commit('account-2', { type: 'Deposited', amount: 7 });

// The state is stored together with the position, so that no event is counted twice, whatever happens in between.
const balances = store.getConsumer('_all', 'balances', {});
console.log(`begins behind event ${balances.position}`);
balances.on('data', ({ stream, payload }) => {
    const change = payload.type === 'Deposited' ? payload.amount : -payload.amount;
    balances.setState(state => ({ ...state, [stream]: (state[stream] ?? 0) + change }));
});
await once(balances, 'caught-up');
console.log(`behind event ${balances.position}: ${JSON.stringify(balances.state)}`);

// What comes now reaches it as well, from this process or another.
const progress = once(balances, 'progress');
store.commit('account-2', { type: 'Deposited', amount: 100 });
await progress;
console.log(`behind event ${balances.position}: ${JSON.stringify(balances.state)}`);
store.close();
