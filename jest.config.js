const jestJupyterLab = require('@jupyterlab/testing/lib/jest-config');

const esModules = [
  '@codemirror',
  '@jupyter/',
  '@jupyterlab/',
  '@marijn',
  '@microsoft',
  'color',
  'd3-',
  'exenv-es6',
  'internmap',
  'lib0',
  'marked',
  'nanoid',
  'openapi-fetch',
  'react-data-grid',
  'vscode-ws-jsonrpc',
  'y-protocols',
  'y-websocket',
  'yjs'
].join('|');

const base = jestJupyterLab(__dirname);

module.exports = {
  ...base,
  automock: false,
  roots: ['<rootDir>/src'],
  // The built labextension repeats package.json, and two packages of one name collide.
  modulePathIgnorePatterns: ['<rootDir>/genops_lab/', '<rootDir>/lib/'],
  moduleNameMapper: {
    '\\.(gif|ttf|eot)$': '@jupyterlab/testing/lib/jest-file-mock.js',
    '^@testing-library/react$': '<rootDir>/scripts/jest-testing-library.js'
  },
  reporters: ['default'],
  // `make test` runs the browser's tests at the same time.
  testTimeout: 60000,
  testRegex: 'src/.*\\.spec\\.tsx?$',
  transform: {
    '\\.svg$': '@jupyterlab/testing/lib/jest-raw-loader.js',
    // The widgets import their style sheets as text.
    '\\.css$': '@jupyterlab/testing/lib/jest-raw-loader.js',
    '^.+\\.(jsx?|mjs|tsx?)$': '<rootDir>/scripts/jest-esbuild.js'
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esModules}))`]
};
