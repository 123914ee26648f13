// React's testing library, which waits up to 15 s instead of 1 s: other tests may have the cores meanwhile.
const library = require('../node_modules/@testing-library/react');

library.configure({ asyncUtilTimeout: 15000 });

module.exports = library;
