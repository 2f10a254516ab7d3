// For require('varve'): the class EventStore, with everything else as its properties.
'use strict';
const all = require('./index.js');

module.exports = all.default;
for (const [name, value] of Object.entries(all)) if (name !== 'default') module.exports[name] = value;
