import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable, Resource } from '../../core';
import {
  ActionButton,
  EmptyState,
  RelativeTime,
  ResourceView
} from '../../core';
import { ListTable } from '../../core/ui/list-table';
import { PageHead } from '../../core/ui/page';

import { costOf, costText, scaleOf, stateOf, tokensOf } from './figures';
import { Interval } from './interval';
import type { IListed } from './service';
import type { EvaluationActions } from './state';
import { EvaluationState, GoOn } from './state';

/** All evaluations: state, models with their scores, cost. */
export function EvaluationsList(props: {
  list: Resource<IListed[]>;
  actions: EvaluationActions;
  onOpen: (id: string) => void;
  /** Execute a command. */
  execute: (command: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { list, actions, onOpen, execute, trans } = props;
  const begins = [
    {
      label: trans.__('New evaluation…'),
      caption: trans.__('Compare models or prompts on rows'),
      onClick: () => execute('genops:new-evaluation')
    },
    {
      label: trans.__('Evaluate a file…'),
      caption: trans.__(
        'Show what an evaluation file asks and costs, then start it'
      ),
      onClick: () => execute('genops:evaluate-file')
    }
  ];
  const columns: DataTable.IColumn<IListed>[] = [
    {
      id: 'name',
      title: trans.__('Name'),
      isHead: true,
      cell: ({ evaluation }) => evaluation.name,
      value: ({ evaluation }) => evaluation.name,
      tip: ({ evaluation }) => evaluation.id
    },
    {
      id: 'state',
      title: trans.__('State'),
      cell: listed => <EvaluationState listed={listed} trans={trans} />,
      value: listed => stateOf(listed, trans).label
    },
    {
      id: 'scores',
      title: trans.__('Scores'),
      titleTip: trans.__(
        'Mean of each model by the first scorer, with its 95 % interval'
      ),
      cellClass: () => 'gol-Answers-cell',
      cell: ({ evaluation }) => <MainScores {...{ evaluation, trans }} />,
      value: ({ evaluation }) => evaluation.scores?.[0]?.mean.value ?? null
    },
    {
      id: 'data',
      title: trans.__('Data'),
      wide: true,
      cell: ({ evaluation: { data, rows, repeats } }) =>
        repeats > 1
          ? trans._n(
              '%2, %1 row, %3 repeats',
              '%2, %1 rows, %3 repeats',
              rows,
              fileOf(data),
              repeats
            )
          : trans._n('%2, %1 row', '%2, %1 rows', rows, fileOf(data)),
      value: ({ evaluation }) => fileOf(evaluation.data),
      tip: ({ evaluation }) => evaluation.data
    },
    {
      id: 'cost',
      title: trans.__('Cost'),
      titleTip: trans.__('Money of all calls, by the prices of the endpoints'),
      numeric: true,
      cell: ({ evaluation }) => costText(costOf(evaluation), trans),
      value: ({ evaluation }) => {
        const cost = costOf(evaluation);
        return cost?.size === 1 ? [...cost.values()][0] : null;
      },
      tip: ({ evaluation }) =>
        trans.__('%1 tokens', tokensOf(evaluation).toLocaleString())
    },
    {
      id: 'when',
      title: trans.__('Begun'),
      cell: ({ evaluation }) => (
        <RelativeTime seconds={evaluation.created_at} trans={trans} />
      ),
      value: ({ evaluation }) => evaluation.created_at
    },
    {
      id: 'actions',
      title: trans.__('Actions'),
      cell: listed => <GoOn {...{ listed, actions, trans }} />
    }
  ];
  return (
    <>
      <PageHead
        title={trans.__('Evaluations')}
        actions={begins.map(each => (
          <ActionButton key={each.label} {...each} />
        ))}
      />
      <ResourceView
        resource={list}
        trans={trans}
        down={trans.__('The evaluations cannot be read.')}
        keepMounted
        empty={
          <EmptyState
            text={trans.__(
              'No evaluations yet. Begin one here, in a notebook with a cell %1, or in a terminal: genops evaluate FILE',
              '%%evaluate ROWS'
            )}
          />
        }
      >
        {found => (
          <ListTable
            caption={trans.__('Evaluations')}
            columns={columns}
            rows={found}
            rowKey={({ evaluation }) => evaluation.id}
            rowLabel={({ evaluation }) => evaluation.name}
            onOpen={({ evaluation }) => onOpen(evaluation.id)}
            sort={{ column: 'when', descending: true }}
            count={count => trans._n('%1 evaluation', '%1 evaluations', count)}
            trans={trans}
          />
        )}
      </ResourceView>
    </>
  );
}

/** Each model's mean by the first scorer. */
function MainScores({
  evaluation,
  trans
}: {
  evaluation: IListed['evaluation'];
  trans: TranslationBundle;
}): React.ReactElement {
  const scores = evaluation.scores ?? [];
  const scale = scaleOf(scores.map(({ mean }) => mean));
  return (
    <ul className="gol-Answers-scores">
      {scores.length === 0
        ? evaluation.models.map(({ model }) => <li key={model}>{model}</li>)
        : scores.map(({ model, mean }) => (
            <li key={model}>
              <span className="gol-Answers-model" title={model}>
                {model}
              </span>
              <Interval estimate={mean} scale={scale} trans={trans} />
            </li>
          ))}
    </ul>
  );
}

function fileOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
