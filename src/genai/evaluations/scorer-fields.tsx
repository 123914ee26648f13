import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';

import '../../../style/genai/evaluations.css';

/** Scorers that work without settings, and what a person gives the others. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  exact: '- scorer: exact',
  contains: '- scorer: contains',
  numeric: '- scorer: numeric\n  relative: 0.01',
  regex: "- scorer: regex\n  pattern: '[0-9]+'",
  length: '- scorer: length\n  at_most: 500',
  refusal: '- scorer: refusal',
  rouge: '- scorer: rouge'
};

/** What is sent: a list becomes the list `scorers`; a whole text, with judges, stays as it is. */
export function scorersText(scorers: string): string {
  return /^\s*-/.test(scorers) ? `scorers:\n${scorers}\n` : scorers;
}

/** Scorers as YAML, with examples to begin with. */
export function ScorerFields(props: {
  scorers: string;
  onChange: (scorers: string) => void;
  help: string;
  rows: number;
  /** The problem of the scorers. */
  error?: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { scorers, onChange, help, rows, error, trans } = props;
  return (
    <>
      <Field label={trans.__('Example scorer')} help={help}>
        {control => (
          <select
            {...control}
            value={
              Object.keys(EXAMPLES).find(kind => EXAMPLES[kind] === scorers) ??
              ''
            }
            onChange={({ target }) =>
              target.value && onChange(EXAMPLES[target.value])
            }
          >
            <option value="">{trans.__('Own')}</option>
            {Object.keys(EXAMPLES).map(kind => (
              <option key={kind} value={kind}>
                {kind}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field
        label={trans.__('Scorers (YAML)')}
        help={trans.__(
          'As below scorers in an evaluation file. A judge needs the keys scorers and judges.'
        )}
        error={error}
      >
        {control => (
          <textarea
            {...control}
            className={`${control.className} gol-Answers-yaml`}
            rows={rows}
            data-takes-enter
            spellCheck={false}
            value={scorers}
            onChange={({ target }) => onChange(target.value)}
          />
        )}
      </Field>
    </>
  );
}
