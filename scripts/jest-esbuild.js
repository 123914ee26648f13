// Jest's transform: esbuild, which builds the widgets too, takes a tenth of the time of Babel and TypeScript.
// It does not move `jest.mock` above imports: a file of its own calls it, and is imported first.
// Types are checked by `jlpm typecheck`; here they are only stripped.
const { extname } = require('path');
const { transformSync } = require('esbuild');

module.exports = {
  process: (source, path) =>
    transformSync(source, {
      format: 'cjs',
      loader: extname(path).slice(1).replace('mjs', 'js'),
      jsx: 'transform',
      sourcefile: path,
      sourcemap: 'inline',
      // Node.js refuses it in Jest's modules: `require` takes its place.
      supported: { 'dynamic-import': false },
      target: 'es2022',
      // As the build has them: a field without a value does not hide that of the parent class.
      tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } }
    })
};
