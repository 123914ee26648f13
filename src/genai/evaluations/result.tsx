import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Resource } from '../../core';
import {
  ActionButton,
  DataTable,
  Facts,
  RelativeTime,
  ResourceView,
  formatDuration
} from '../../core';
import { PageHead } from '../../core/ui/page';

import type { IChosen } from './examples';
import { ExamplesView, useChosen } from './examples';
import { Comparison } from './comparison';
import { costOf, costText, tokensOf } from './figures';
import { Comparisons, Findings, Scores, Slices } from './scores';
import type {
  AnswersService,
  IModelAnswers,
  IReport,
  IResult
} from './service';
import type { EvaluationActions } from './state';
import { EvaluationState, GoOn } from './state';

interface IProps {
  result: Resource<IResult>;
  service: AnswersService;
  actions: EvaluationActions;
  onTrace: (id: string) => void;
  trans: TranslationBundle;
}

/** One evaluation: what it shows in words, the scores, and the examples to read. */
export function ResultView(props: IProps): React.ReactElement {
  const { result, trans } = props;
  return (
    <ResourceView
      resource={result}
      trans={trans}
      down={trans.__('The evaluation cannot be read.')}
      keepMounted
      empty={null}
    >
      {found => <Result {...props} found={found} />}
    </ResourceView>
  );
}

function Result(props: IProps & { found: IResult }): React.ReactElement {
  const { found, service, actions, onTrace, trans } = props;
  const { evaluation, report, task } = found;
  const { id } = evaluation;
  const [comparing, setComparing] = React.useState(false);
  return (
    <>
      <PageHead
        title={evaluation.name}
        actions={
          <>
            <GoOn listed={found} actions={actions} trans={trans} />
            {report && (
              <ActionButton
                label={
                  comparing
                    ? trans.__('Show this result alone')
                    : trans.__('Compare with another result…')
                }
                onClick={() => setComparing(!comparing)}
              />
            )}
            {!task && (
              <>
                <ActionButton
                  label={trans.__('Score with another scorer…')}
                  onClick={() => actions.score(id)}
                />
                <ActionButton
                  label={trans.__('Delete…')}
                  onClick={() => actions.remove(id)}
                />
              </>
            )}
          </>
        }
      >
        <EvaluationState listed={found} trans={trans} />
      </PageHead>
      {task && (
        <p className="gol-Note" role="status">
          {task.message}
        </p>
      )}
      {report && comparing ? (
        <Comparison {...{ evaluation, report, service, onTrace, trans }} />
      ) : (
        <Alone {...props} />
      )}
    </>
  );
}

/** A result by itself. */
function Alone(props: IProps & { found: IResult }): React.ReactElement {
  const { found, service, onTrace, trans } = props;
  const { evaluation, report } = found;
  const { id, models, scorers } = evaluation;
  const { chosen, choose, examples, show } = useChosen({
    scorer: scorers[0],
    model: models[1]?.model ?? models[0].model
  });
  const first = models[0].model;
  const sides = React.useMemo(
    () =>
      [...new Set([first, chosen.model])].map(model => ({
        evaluation: id,
        model,
        label: model,
        short: model
      })),
    [id, first, chosen.model]
  );
  const compared = report?.compared.find(
    ({ scorer, model, against }) =>
      scorer === chosen.scorer && model === chosen.model && against === first
  );
  return (
    <>
      <Findings
        lines={[...(report?.sentences ?? []), ...evaluation.notes]}
        trans={trans}
      />
      {report && <Figures {...{ report, show, trans }} />}
      {report && (
        <div ref={examples}>
          <ExamplesView
            {...{ evaluation, report, scorers, sides, compared, service }}
            {...{ chosen, onTrace, trans }}
            models={models.map(({ model }) => [
              model,
              model === first
                ? trans.__('%1 alone', first)
                : trans.__('%1 beside %2', model, first)
            ])}
            onChoose={choose}
          />
        </div>
      )}
      <h3>{trans.__('Answers by model')}</h3>
      <Answered models={models} trans={trans} />
      <Facts
        className="gol-Facts gol-Answers-facts"
        facts={[
          [
            trans.__('Data'),
            trans._n(
              '%2, %1 row',
              '%2, %1 rows',
              evaluation.rows,
              evaluation.data
            ),
            { caption: trans.__('Digest %1', evaluation.digest) }
          ],
          ...(evaluation.target
            ? [[trans.__('Target'), evaluation.target] as const]
            : []),
          [trans.__('Repeats'), evaluation.repeats],
          [
            trans.__('Cost'),
            trans.__(
              '%1, %2 tokens',
              costText(costOf(evaluation), trans),
              tokensOf(evaluation).toLocaleString()
            )
          ],
          [
            trans.__('Begun'),
            <RelativeTime
              key="begun"
              seconds={evaluation.created_at}
              trans={trans}
            />
          ],
          [trans.__('Id'), id]
        ]}
      />
    </>
  );
}

function Figures(props: {
  report: IReport;
  show: (part: Partial<IChosen>) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { report, show, trans } = props;
  return (
    <>
      <h3>{trans.__('Scores')}</h3>
      <Scores scored={report.scored} onShow={show} trans={trans} />
      {report.compared.length > 0 && (
        <>
          <h3>{trans.__('Differences on the same examples')}</h3>
          <Comparisons compared={report.compared} onShow={show} trans={trans} />
          <Slices compared={report.compared} trans={trans} />
        </>
      )}
    </>
  );
}

/** How many answers each model gave, and why others are missing. */
function Answered(props: {
  models: readonly IModelAnswers[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { models, trans } = props;
  return (
    <DataTable
      caption={trans.__('Answers by model')}
      className="gol-Table gol-ListTable-table gol-Answers-table"
      columns={[
        {
          id: 'model',
          title: trans.__('Model'),
          isHead: true,
          cell: ({ model }) => model,
          tip: ({ names }) => names?.join(', ') ?? ''
        },
        {
          id: 'answered',
          title: trans.__('Answers'),
          numeric: true,
          cell: ({ answered, wanted }) =>
            trans.__(
              '%1 of %2',
              answered.toLocaleString(),
              wanted.toLocaleString()
            )
        },
        {
          id: 'failed',
          title: trans.__('Errors'),
          numeric: true,
          cell: ({ failed, failures }) =>
            failed
              ? Object.entries(failures ?? {})
                  .map(([kind, count]) => `${count} × ${kind}`)
                  .join(', ')
              : '0',
          tip: ({ message }) => message
        },
        {
          id: 'cut',
          title: trans.__('Cut off'),
          titleTip: trans.__('Answers that ended at max_tokens'),
          numeric: true,
          cell: ({ cut }) => cut
        },
        {
          id: 'latency',
          title: trans.__('Latency'),
          titleTip: trans.__('Median time of a call'),
          numeric: true,
          cell: ({ latency_s }) =>
            typeof latency_s === 'number' ? formatDuration(latency_s) : '–'
        },
        {
          id: 'cost',
          title: trans.__('Cost'),
          numeric: true,
          cell: each => costText(costOf({ models: [each] }), trans)
        }
      ]}
      rows={models}
      rowKey={({ model }) => model}
      below={model => {
        const lines = belowOf(model, trans);
        return lines.length ? lines.join(' ') : null;
      }}
    />
  );
}

/** Why a model was asked no more, and the calls that may have been paid for without an answer. */
function belowOf(model: IModelAnswers, trans: TranslationBundle): string[] {
  const { stopped, repeated, repeated_tokens, unanswered_tokens } = model;
  const found = stopped ? [stopped] : [];
  if (repeated) {
    found.push(
      trans._n(
        '%1 call was in flight when a process ended, and was made again. It may have used up to %2 tokens.',
        '%1 calls were in flight when a process ended, and were made again. They may have used up to %2 tokens.',
        repeated,
        (repeated_tokens ?? 0).toLocaleString()
      )
    );
  }
  if (unanswered_tokens) {
    found.push(
      trans.__(
        'Calls that ended without an answer may have used up to %1 tokens.',
        unanswered_tokens.toLocaleString()
      )
    );
  }
  return found;
}
