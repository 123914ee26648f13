/** JavaScript of packages as CommonJS for jest: esbuild takes a seventh of the time that babel-jest does. */
const { createHash } = require('crypto');
const { transformSync, version } = require('esbuild');

module.exports = {
  getCacheKey: (source, path) =>
    createHash('sha256')
      .update([version, path, source].join('\0'))
      .digest('hex'),
  process: (source, path) =>
    transformSync(source, {
      format: 'cjs',
      target: 'es2022',
      sourcemap: 'inline',
      // By an .mjs it would take the default export of a CommonJS module as Node.js does, and not as bundlers do.
      sourcefile: path.replace(/\.mjs$/, '.js')
    })
};
