import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Tone } from '../../core';
import { DataTable, StatusBadge } from '../../core';

import { differenceScale, scaleOf, short } from './figures';
import { Interval } from './interval';
import type { IChosen } from './examples';
import type { ICompared, IScored } from './service';

const TABLE = 'gol-Table gol-ListTable-table gol-Answers-table';

type Show = (part: Partial<IChosen>) => void;

/** What the answers show, in sentences. */
export function Findings(props: {
  lines: readonly string[];
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { lines, trans } = props;
  return lines.length === 0 ? null : (
    <ul className="gol-Answers-said" aria-label={trans.__('Findings')}>
      {lines.map(line => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

/** Each model by each scorer. Errors and answers without a score are columns of their own. */
export function Scores(props: {
  scored: readonly IScored[];
  onShow: Show;
  trans: TranslationBundle;
}): React.ReactElement {
  const { scored, onShow, trans } = props;
  const scales = new Map(
    scored.map(({ scorer }) => [
      scorer,
      scaleOf(
        scored
          .filter(each => each.scorer === scorer)
          .flatMap(({ mean, corrected }) => [mean, corrected ?? mean])
      )
    ])
  );
  const repeats = scored.some(({ pass_at_k }) => pass_at_k);
  const chance = (
    id: 'pass_at_k' | 'pass_hat_k',
    title: string,
    titleTip: string
  ): DataTable.IColumn<IScored> => ({
    id,
    title,
    titleTip,
    numeric: true,
    cell: each => {
      const value = each[id]?.value;
      return typeof value === 'number' ? short(value) : '–';
    }
  });
  const columns: DataTable.IColumn<IScored>[] = [
    {
      id: 'scorer',
      title: trans.__('Scorer'),
      isHead: true,
      cell: ({ scorer }) => scorer
    },
    { id: 'model', title: trans.__('Model'), cell: ({ model }) => model },
    {
      id: 'mean',
      title: trans.__('Mean score'),
      titleTip: trans.__('Mean of the examples, with its 95 % interval'),
      cell: ({ mean, scorer }) => (
        <Interval estimate={mean} scale={scales.get(scorer)!} trans={trans} />
      )
    },
    ...(scored.some(({ corrected }) => corrected)
      ? [
          {
            id: 'corrected',
            title: trans.__('By people’s labels'),
            titleTip: trans.__(
              'The mean of people’s labels, which the marks of the judge complete'
            ),
            cell: ({ corrected, scorer }: IScored) =>
              corrected ? (
                <Interval
                  estimate={corrected}
                  scale={scales.get(scorer)!}
                  trans={trans}
                />
              ) : (
                '–'
              )
          }
        ]
      : []),
    ...(repeats
      ? [
          chance(
            'pass_at_k',
            trans.__('pass@k'),
            trans.__('The chance that one of the repeats passes')
          ),
          chance(
            'pass_hat_k',
            trans.__('pass^k'),
            trans.__('The chance that all repeats pass')
          )
        ]
      : []),
    {
      id: 'answers',
      title: trans.__('Scored'),
      titleTip: trans.__('Answers in the mean'),
      numeric: true,
      cell: ({ answers }) => answers.toLocaleString()
    },
    {
      id: 'failed',
      title: trans.__('Errors'),
      titleTip: trans.__('Failed calls; the mean leaves them out'),
      numeric: true,
      cell: ({ failed, scorer, model }) => (
        <Count
          count={failed}
          label={trans._n(
            'Show the %1 error of %2',
            'Show the %1 errors of %2',
            failed,
            model
          )}
          onClick={() => onShow({ scorer, ...only(model), filter: 'failed' })}
        />
      )
    },
    {
      id: 'not-scored',
      title: trans.__('Not scored'),
      titleTip: trans.__(
        'Answers that the scorer could not judge; the mean leaves them out'
      ),
      numeric: true,
      cell: ({ not_scored, scorer, model }) => (
        <Count
          count={not_scored}
          label={trans._n(
            'Show the %1 answer of %2 without a score',
            'Show the %1 answers of %2 without a score',
            not_scored,
            model
          )}
          onClick={() =>
            onShow({ scorer, ...only(model), filter: 'not-scored' })
          }
        />
      )
    }
  ];
  // The first model stands in each comparison, so its examples are shown without a choice.
  const first = scored[0]?.model;
  const only = (model: string) => (model === first ? {} : { model });
  return (
    <DataTable
      caption={trans.__('Scores')}
      className={TABLE}
      columns={columns}
      rows={scored}
      rowKey={({ scorer, model }) => `${scorer}\n${model}`}
    />
  );
}

/** Two models on the same examples: the difference, and what got worse and better. */
export function Comparisons(props: {
  compared: readonly ICompared[];
  onShow: Show;
  trans: TranslationBundle;
}): React.ReactElement {
  const { compared, onShow, trans } = props;
  const scales = new Map(
    compared.map(({ scorer }) => [
      scorer,
      differenceScale(
        compared
          .filter(each => each.scorer === scorer)
          .map(({ difference }) => difference)
      )
    ])
  );
  const listed = (
    filter: 'new-failure' | 'worse' | 'mended' | 'better',
    title: string,
    examplesOf: (each: ICompared) => readonly string[] | null | undefined
  ): DataTable.IColumn<ICompared> => ({
    id: filter,
    title,
    numeric: true,
    cell: each => {
      const count = examplesOf(each)?.length;
      return count === undefined ? (
        '–'
      ) : (
        <Count
          count={count}
          label={trans.__('%1: %2. Show them', title, count)}
          onClick={() =>
            onShow({ scorer: each.scorer, model: each.model, filter })
          }
        />
      );
    }
  });
  const passes = compared.some(({ new_failures }) => new_failures);
  const columns: DataTable.IColumn<ICompared>[] = [
    {
      id: 'scorer',
      title: trans.__('Scorer'),
      isHead: true,
      cell: ({ scorer }) => scorer
    },
    {
      id: 'models',
      title: trans.__('Models'),
      cell: each => modelsOf(each, trans)
    },
    {
      id: 'difference',
      title: trans.__('Difference'),
      titleTip: trans.__(
        'Mean difference of the examples that both answered, with its 95 % interval'
      ),
      cell: ({ difference, scorer }) => (
        <Interval
          estimate={difference}
          scale={scales.get(scorer)!}
          isDifference
          trans={trans}
        />
      )
    },
    {
      id: 'verdict',
      title: trans.__('Verdict'),
      cell: ({ verdict }) => <StatusBadge {...verdictOf(verdict, trans)} />
    },
    ...(passes
      ? [
          listed(
            'new-failure',
            trans.__('New failures'),
            each => each.new_failures
          ),
          listed('mended', trans.__('Mended'), each => each.mended)
        ]
      : [
          listed('worse', trans.__('Worse'), each => each.worse),
          listed('better', trans.__('Better'), each => each.better)
        ])
  ];
  return (
    <DataTable
      caption={trans.__('Differences on the same examples')}
      className={TABLE}
      columns={columns}
      rows={compared}
      rowKey={({ scorer, model, against, against_result }) =>
        [scorer, model, against, against_result].join('\n')
      }
    />
  );
}

/** The differences by slice, such as by language. */
export function Slices(props: {
  compared: readonly ICompared[];
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { compared, trans } = props;
  const rows = compared.flatMap(each =>
    each.slices.map(slice => ({ ...slice, each }))
  );
  if (rows.length === 0) {
    return null;
  }
  const scale = differenceScale(rows.map(({ difference }) => difference));
  return (
    <>
      <h3>{trans.__('Differences by slice')}</h3>
      <DataTable
        caption={trans.__('Differences by slice')}
        className={TABLE}
        columns={[
          {
            id: 'slice',
            title: trans.__('Slice'),
            isHead: true,
            cell: ({ column, value }) => `${column}: ${value}`
          },
          {
            id: 'scorer',
            title: trans.__('Scorer'),
            cell: ({ each }) => each.scorer
          },
          {
            id: 'models',
            title: trans.__('Models'),
            cell: ({ each }) => modelsOf(each, trans)
          },
          {
            id: 'difference',
            title: trans.__('Difference'),
            cell: ({ difference }) => (
              <Interval
                estimate={difference}
                scale={scale}
                isDifference
                trans={trans}
              />
            )
          },
          {
            id: 'verdict',
            title: trans.__('Verdict'),
            cell: ({ verdict }) => (
              <StatusBadge {...verdictOf(verdict, trans)} />
            )
          }
        ]}
        rows={rows}
        rowKey={({ column, value, each }) =>
          [each.scorer, each.model, column, value].join('\n')
        }
      />
    </>
  );
}

/** Which model less which other one, that of another evaluation with its name. */
function modelsOf(
  { model, against, against_result }: ICompared,
  trans: TranslationBundle
): string {
  return against_result
    ? trans.__('%1 less %2 of %3', model, against, against_result)
    : trans.__('%1 less %2', model, against);
}

/** The word and the tone of a verdict. A difference within chance is neither good nor bad. */
function verdictOf(
  verdict: string,
  trans: TranslationBundle
): { tone: Tone; label: string } {
  const known: Record<string, { tone: Tone; label: string }> = {
    better: { tone: 'ok', label: trans.__('Better') },
    worse: { tone: 'error', label: trans.__('Worse') },
    higher: { tone: 'idle', label: trans.__('Higher') },
    lower: { tone: 'idle', label: trans.__('Lower') },
    equal: { tone: 'idle', label: trans.__('Equal') },
    'within chance': { tone: 'idle', label: trans.__('Within chance') },
    'not known': { tone: 'idle', label: trans.__('Not known') }
  };
  return known[verdict] ?? { tone: 'idle', label: verdict };
}

/** A count that opens what it counts; 0 is plain text. */
function Count(props: {
  count: number;
  label: string;
  onClick: () => void;
}): React.ReactElement {
  const { count, label, onClick } = props;
  return count === 0 ? (
    <>0</>
  ) : (
    <button
      type="button"
      className="gol-LinkButton"
      aria-label={label}
      title={label}
      onClick={onClick}
    >
      {count.toLocaleString()}
    </button>
  );
}
