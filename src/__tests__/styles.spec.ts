import * as fs from 'fs';
import * as path from 'path';

const STYLE = path.join(__dirname, '..', '..', 'style');

/** The style files that are loaded with `file`, itself included. */
function loadedWith(file: string): string[] {
  const text = fs.readFileSync(path.join(STYLE, file), 'utf8');
  const imports = [...text.matchAll(/@import\s+(?:url\()?['"]([^'"]+\.css)/g)];
  return [file, ...imports.flatMap(([, name]) => loadedWith(name))];
}

it('each style file is loaded', () => {
  const files = fs.readdirSync(STYLE).filter(name => name.endsWith('.css'));
  const loaded = new Set(loadedWith('index.css').map(path.normalize));
  expect(files.filter(name => !loaded.has(name))).toEqual([]);
});
