import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import prettierRecommended from 'eslint-plugin-prettier/recommended';
import globals from 'globals';
import jupyterPlugin from '@jupyter/eslint-plugin';
import translations from './scripts/eslint-translations.js';

export default defineConfig([
  {
    ignores: [
      'node_modules',
      'lib',
      'dist',
      'build',
      'coverage',
      'genops_lab',
      'docs',
      '**/*.js',
      '**/*.d.ts',
      '.venv*',
      // Generated from genops_lab/app/openapi.json.
      'src/api/generated.ts'
    ]
  },
  js.configs.recommended,
  tseslint.configs.recommended,
  { plugins: { jupyter: jupyterPlugin } },
  { plugins: { genops: { rules: { 'whole-sentences': translations } } } },
  jupyterPlugin.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    languageOptions: {
      globals: { ...globals.browser, ...globals.es2020 },
      parserOptions: { project: 'tsconfig.test.json', sourceType: 'module' }
    },
    rules: {
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'interface',
          format: ['PascalCase'],
          custom: { regex: '^I[A-Z]', match: true }
        }
      ],
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { attributes: false } }
      ],
      '@typescript-eslint/no-namespace': 'off',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'separate-type-imports' }
      ],
      curly: ['error', 'all'],
      eqeqeq: 'error',
      'prefer-arrow-callback': 'error',
      'genops/whole-sentences': 'error',
      'jupyter/prefer-lazy-imports': [
        'error',
        {
          // Commands are in the palette from the start; these files load what they do when they are executed.
          ignoreImports: [
            '*/commands',
            '*/command',
            '*-commands',
            '*-command',
            './mlflow-ui'
          ]
        }
      ]
    }
  },
  {
    // One table, one dialog, one flame graph: a new version of what draws them is a change of one file.
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    ignores: [
      'src/core/ui/**',
      'src/profiling/main/flame/graph.ts',
      '**/__tests__/**'
    ],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'react-data-grid',
              message: 'Use Grid of core/ui/grid.'
            },
            {
              name: 'd3-flame-graph',
              message: 'Use profiling/main/flame/graph.'
            }
          ]
        }
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "ClassDeclaration[superClass.name='Dialog']",
          message: 'Use openForm or ModelDialog of core/ui.'
        },
        {
          // Cards (src/runtime) make theirs with `make`: they are drawn without JupyterLab and React.
          selector: 'JSXOpeningElement[name.name=/^(table|dl|form|dialog)$/]',
          message:
            'Use DataTable, ListTable, Facts, openForm or ModelDialog of core/ui.'
        }
      ]
    }
  },
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: globals.node }
  },
  {
    // Tests hold their fixtures for the life of one test.
    files: ['**/__tests__/**'],
    rules: Object.fromEntries(
      Object.keys(jupyterPlugin.rules).map(name => [`jupyter/${name}`, 'off'])
    )
  },
  {
    // They run in the kernel's own front ends, where the Lab's translations are not.
    files: ['src/runtime/cards/views/**', 'src/runtime/widgets/**'],
    rules: { 'jupyter/no-untranslated-string': 'off' }
  },
  prettierRecommended
]);
