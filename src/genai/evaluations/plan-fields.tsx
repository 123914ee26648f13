import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable as Table } from '../../core';
import {
  ActionButton,
  Callout,
  DataTable,
  Facts,
  Field,
  formatPercent
} from '../../core';
import { formatMoney } from '../../core/money';

import { costText, short } from './figures';
import type { PlanForm } from './plan-form';
import { HERE } from './plan-form';
import type { IPart } from './plan-messages';
import { mostOf, partsOf, priceDates, unknownCosts } from './plan-messages';
import type { IPlan } from './service';

import '../../../style/genai/evaluations.css';

/** What an evaluation file would ask, where, and what it costs at most. */
export function PlanFields(props: {
  form: PlanForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { plan, planning, on } = form.fields;
  return (
    <>
      <div className="gol-Plan-file">
        <code>{form.file.path}</code>
        <ActionButton
          label={trans.__('Read the file again')}
          caption={trans.__('Show the plan of the file as it is now')}
          busy={planning}
          onClick={() => void form.load()}
        />
      </div>
      <Where form={form} trans={trans} />
      <div className="gol-Plan" aria-live="polite" aria-busy={planning}>
        {planning && (
          <p className="gol-Note">
            {trans.__('Reading the rows and counting the calls…')}
          </p>
        )}
        {plan && !planning && <PlanView {...{ plan, on, trans }} />}
      </div>
    </>
  );
}

/** The choice of this computer or a target. */
function Where(props: {
  form: PlanForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { on, onProblem, targets } = form.fields;
  return (
    <Field
      label={trans.__('On')}
      help={
        on === HERE
          ? targets.length > 0
            ? trans.__(
                'The host of a target reaches models that this computer does not.'
              )
            : trans.__('There are no targets that are one host.')
          : trans.__(
              'The file, its rows, files of scorers and keys of models go to the host of %1. Answers and scores come back.',
              on
            )
      }
      error={onProblem}
    >
      {control => (
        <select
          {...control}
          value={on}
          onChange={({ target }) => void form.choose(target.value)}
        >
          <option value={HERE}>{trans.__('This computer')}</option>
          {targets.map(({ name, state }) => (
            <option key={name} value={name} disabled={state !== 'up'}>
              {state === 'up' ? name : trans.__('%1 (not connected)', name)}
            </option>
          ))}
          {on !== HERE && !targets.some(({ name }) => name === on) && (
            <option value={on}>{trans.__('%1 (gone)', on)}</option>
          )}
        </select>
      )}
    </Field>
  );
}

function PlanView(props: {
  plan: IPlan;
  on: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { plan, trans } = props;
  const { problems = [], notes = [], keys } = plan;
  const cost = mostOf(plan);
  const unknown = unknownCosts(plan, trans);
  const dates = priceDates(plan, trans);
  return (
    <>
      {problems.length > 0 && (
        <Callout tone="error" title={trans.__('The evaluation cannot start.')}>
          <Lines lines={problems} />
        </Callout>
      )}
      <Facts
        facts={[
          [trans.__('Rows'), rowsOf(plan, trans)],
          [
            trans.__('Cost at most'),
            <strong key="cost">{costText(cost, trans)}</strong>
          ],
          dates ? [trans.__('Prices of'), dates] : null,
          keys ? [trans.__('Keys'), keys] : null
        ]}
      />
      {unknown.length > 0 && (
        <Callout tone="warning" title={trans.__('The cost is not known.')}>
          <Lines lines={unknown} />
        </Callout>
      )}
      <DataTable
        caption={trans.__('Calls at most')}
        columns={callColumns(trans)}
        rows={partsOf(plan)}
        rowKey={({ part, calls }) => `${part} ${calls.model}`}
      />
      {plan.shows.length > 0 && <Power plan={plan} trans={trans} />}
      {notes.length > 0 && (
        <Callout tone="warning" title={trans.__('Before you start')}>
          <Lines lines={notes} />
        </Callout>
      )}
    </>
  );
}

/** The smallest differences that the rows can show. */
function Power(props: {
  plan: IPlan;
  trans: TranslationBundle;
}): React.ReactElement {
  const { plan, trans } = props;
  const { shows, tests, clusters = 0 } = plan;
  const few = shows.filter(({ difference }) => difference === null);
  const title = trans.__('Differences that the rows show');
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <DataTable
        caption={title}
        columns={[
          {
            id: 'differing',
            title: trans.__('Rows on which two models differ'),
            cell: ({ differing }) => formatPercent(100 * differing),
            isHead: true
          },
          {
            id: 'difference',
            title: trans.__('Smallest difference'),
            numeric: true,
            cell: ({ difference }) =>
              difference === null
                ? trans.__('too few rows')
                : trans.__(
                    '%1 points',
                    short(Math.round(1000 * difference) / 10)
                  )
          }
        ]}
        rows={shows}
        rowKey={({ differing }) => String(differing)}
      />
      <p className="gol-Note">
        {[
          tests > 1
            ? trans.__(
                'A difference is shown with a probability of 80 %, corrected for %1 comparisons.',
                tests
              )
            : trans.__('A difference is shown with a probability of 80 %.'),
          few.length > 0
            ? trans.__(
                'So few rows show no difference of models that differ on %1 of them or fewer.',
                formatPercent(
                  100 * Math.max(...few.map(each => each.differing))
                )
              )
            : '',
          clusters > 0
            ? trans.__(
                'The rows of each of %1 clusters count as one.',
                clusters
              )
            : ''
        ].join(' ')}
      </p>
    </section>
  );
}

function Lines(props: { lines: readonly string[] }): React.ReactElement {
  return (
    <ul className="gol-Plan-lines">
      {props.lines.map(line => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

function rowsOf(
  { rows, repeats, digest }: IPlan,
  trans: TranslationBundle
): string {
  if (rows === null) {
    return trans.__('Not known');
  }
  const count = trans._n('%1 row', '%1 rows', rows);
  const said =
    repeats > 1 ? trans.__('%1, %2 answers to each', count, repeats) : count;
  return trans.__('%1 · digest %2', said, digest.slice(0, 8));
}

function callColumns(trans: TranslationBundle): Table.IColumn<IPart>[] {
  const count = (value: number | null, otherwise: string) =>
    value === null ? otherwise : value.toLocaleString();
  const unknown = trans.__('not known');
  return [
    {
      id: 'model',
      title: trans.__('Model'),
      isHead: true,
      cell: ({ part, calls: { model } }) =>
        part === 'answers'
          ? model
          : part === 'judge'
            ? trans.__('%1 (judge)', model)
            : trans.__('%1 (user)', model)
    },
    {
      id: 'calls',
      title: trans.__('Calls'),
      numeric: true,
      cell: ({ calls }) => count(calls.calls, unknown)
    },
    {
      id: 'input',
      title: trans.__('Input tokens'),
      numeric: true,
      cell: ({ calls }) => count(calls.input_tokens, unknown)
    },
    {
      id: 'output',
      title: trans.__('Output tokens'),
      numeric: true,
      cell: ({ calls }) => count(calls.output_tokens, trans.__('no bound'))
    },
    {
      id: 'cost',
      title: trans.__('Cost'),
      numeric: true,
      cell: ({ calls: { money, currency = 'USD' } }) =>
        money === null ? unknown : formatMoney(money, currency)
    }
  ];
}
