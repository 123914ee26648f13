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

import type { Filter } from './example-list';
import { ExamplesView } from './examples';
import { costOf, costText, tokensOf } from './figures';
import { Comparisons, Scores, Slices } from './scores';
import type {
  AnswersService,
  IModelAnswers,
  IReport,
  IResult
} from './service';
import type { EvaluationActions } from './state';
import { EvaluationState, GoOn } from './state';

/** What the examples show: which scorer and models, and which of the examples. */
export interface IChosen {
  readonly scorer: string;
  readonly model: string;
  readonly filter: Filter;
}

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
  const { id, models, scorers } = evaluation;
  const examples = React.useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = React.useState<Partial<IChosen>>({});
  const chosen: IChosen = {
    scorer: wanted.scorer ?? scorers[0],
    model: wanted.model ?? models[1]?.model ?? models[0].model,
    filter: wanted.filter ?? 'all'
  };
  const show = (part: Partial<IChosen>) => {
    setWanted({ ...wanted, ...part });
    examples.current?.scrollIntoView();
    examples.current?.querySelector('select')?.focus();
  };
  return (
    <>
      <PageHead
        title={evaluation.name}
        actions={
          <>
            <GoOn listed={found} actions={actions} trans={trans} />
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
      <Sentences
        lines={[...(report?.sentences ?? []), ...evaluation.notes]}
        task={task?.message ?? ''}
        trans={trans}
      />
      {report && <Figures {...{ report, show, trans }} />}
      {report && (
        <div ref={examples}>
          <ExamplesView
            {...{ evaluation, report, service, chosen, onTrace, trans }}
            onChoose={part => setWanted({ ...wanted, ...part })}
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
            trans.__('%1, %2 rows', evaluation.data, evaluation.rows),
            { caption: trans.__('Digest %1', evaluation.digest) }
          ],
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

/** What the evaluation shows, in words; while a task runs, how far it is. */
function Sentences(props: {
  lines: readonly string[];
  task: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { lines, task, trans } = props;
  return (
    <>
      {task && (
        <p className="gol-Note" role="status">
          {task}
        </p>
      )}
      {lines.length > 0 && (
        <ul className="gol-Answers-said" aria-label={trans.__('Findings')}>
          {lines.map(line => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
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
          cell: ({ money }) => costText(money ?? null, trans)
        }
      ]}
      rows={models}
      rowKey={({ model }) => model}
      below={({ stopped }) => stopped || null}
    />
  );
}
