// Bundles each src/runtime/widgets/*.ts into one anywidget module that travels with a
// kernel's message: no import is left in it, and its style is inside.
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const source = 'src/runtime/widgets';
const target = 'genops_lab/runtime/static';

const entries = (await readdir(source))
  .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  .filter(name => !name.startsWith('_'))
  .map(name => join(source, name));

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
await build({
  entryPoints: entries,
  outdir: target,
  bundle: true,
  format: 'esm',
  target: 'es2020',
  minify: true,
  charset: 'utf8',
  loader: { '.css': 'text' },
  logLevel: 'warning'
});
for (const entry of entries) {
  const file = join(target, basename(entry).replace(/\.ts$/, '.js'));
  console.log(`${file} ${((await stat(file)).size / 1024).toFixed(1)} kB`);
}
