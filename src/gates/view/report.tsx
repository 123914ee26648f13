import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Tone } from '../../core';
import { StatusBadge } from '../../core';

import type { IGateReport, IRuleVerdict, Verdict } from '../service';

import '../../../style/gates/gates.css';

const TONES: Record<Verdict, Tone> = {
  pass: 'ok',
  fail: 'error',
  not_enough_data: 'warning',
  cannot_be_checked: 'warning'
};

/** The verdict in a word. */
export function verdictLabel(
  verdict: Verdict,
  trans: TranslationBundle
): string {
  switch (verdict) {
    case 'pass':
      return trans.__('Pass');
    case 'fail':
      return trans.__('Fail');
    case 'not_enough_data':
      return trans.__('Not enough data');
    default:
      return trans.__('Cannot be checked');
  }
}

/** A report: its headline, and its rules below. */
export function ReportView(props: {
  report: IGateReport;
  trans: TranslationBundle;
}): React.ReactElement {
  const { report, trans } = props;
  return (
    <div className="gol-Gates-report">
      <p>
        <StatusBadge
          tone={TONES[report.verdict]}
          // The server writes the sentence: it is the same in commands and CI.
          label={report.headline}
          caption={trans.__('By the rules of %1', report.file)}
        />
      </p>
      <details>
        <summary>
          {trans._n('%1 rule', '%1 rules', report.rules.length)}
        </summary>
        <ul className="gol-Gates-rules">
          {report.rules.map((rule, at) => (
            <Rule key={at} rule={rule} trans={trans} />
          ))}
        </ul>
        {report.picture && (
          // The picture is wide: a narrow panel scrolls it, also by keys.
          <div
            className="gol-Gates-picture"
            role="group"
            aria-label={trans.__('Picture of the rules')}
            tabIndex={0}
          >
            <img
              src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(report.picture)}`}
              alt={trans.__(
                'Intervals of the rules. The list above says the same in words.'
              )}
            />
          </div>
        )}
        {report.notes.map(note => (
          <p key={note} className="gol-Note">
            {note}
          </p>
        ))}
      </details>
    </div>
  );
}

/** What a rule found, in the words of the server. */
function sentenceOf({ clause, detail }: IRuleVerdict): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}. ${detail}`;
}

function Rule(props: {
  rule: IRuleVerdict;
  trans: TranslationBundle;
}): React.ReactElement {
  const { rule, trans } = props;
  return (
    <li>
      <span className="gol-Gates-rule">
        <span>{rule.name}</span>
        <StatusBadge
          tone={TONES[rule.verdict]}
          label={verdictLabel(rule.verdict, trans)}
        />
      </span>
      <span className="gol-Gates-found">{sentenceOf(rule)}</span>
      {rule.too_small.length > 0 && (
        <span className="gol-Gates-found">
          {trans.__('Groups too small: %1', rule.too_small.join(', '))}
        </span>
      )}
    </li>
  );
}
