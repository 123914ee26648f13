import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable } from '../../core';
import { Callout, ResourceView, useResource } from '../../core';
import { ListTable } from '../../core/ui/list-table';
import { Progress } from '../../core/ui/progress';
import { wordDiff } from '../traces/word-diff';

import { Choices } from './choices';
import { CostForm, useWork } from './cost-form';
import type { PromptsModel } from './model';
import { RowsFields, isWhole } from './rows-fields';
import { ModelsView } from './source-view';
import { modelOf } from './sources';
import type {
  INewTrial,
  ITrialAnswer,
  ITrialCost,
  ITrialRow,
  ITrialSummary,
  ITrialTable,
  TrialsModel
} from './trials-model';
import { CancelOrResume, FailedTask } from './work-head';
import type { IWork } from './work-model';
import { callsText, rowsText, whenAndWhere } from './work-messages';

/** Versions of the chosen prompt and models, run on rows. `seen`: whether the tab is open. */
export function RunOnRows(props: {
  model: PromptsModel;
  seen: boolean;
}): React.ReactElement {
  const { model, seen } = props;
  const { trials, trans } = model;
  useWork(model, 'trials', seen);
  return (
    <div className="gol-Trials">
      <NewTrial model={model} />
      <ResourceView
        resource={trials.chosen}
        trans={trans}
        down={trans.__('The answers cannot be read.')}
        empty={
          <p className="gol-Note">
            {trans.__('This prompt was not run on rows yet.')}
          </p>
        }
      >
        {found =>
          found && <ShownTrial trials={trials} found={found} trans={trans} />
        }
      </ResourceView>
    </div>
  );
}

/** What is run: rows, versions and models. The cost comes before the calls. */
function NewTrial(props: { model: PromptsModel }): React.ReactElement {
  const { model } = props;
  const { trials, sources, trans } = model;
  const versions = (model.versions.value ?? []).filter(
    ({ name }) => name === model.name
  );
  const newest = versions[0]?.version;
  const [choice, setChoice] = React.useState({ data: '', rows: 20 });
  const [chosen, setChosen] = React.useState<readonly string[] | null>(null);
  const [models, setModels] = React.useState<readonly string[]>([]);
  const asked = chosen ?? (newest ? [newest] : []);
  const body: INewTrial = {
    // The oldest first: marks show what the newer ones changed.
    versions: [...asked].reverse(),
    models: models.map(modelOf),
    ...choice,
    settings: {}
  };
  const canAsk = asked.length > 0 && models.length > 0 && isWhole(choice);
  return (
    <CostForm
      label={trans.__('Run on rows')}
      canAsk={canAsk}
      onCost={() => trials.cost(body)}
      onStart={() => trials.start(body)}
      costText={cost => costText(cost, trans)}
      startLabel={({ calls }) =>
        trans._n('Make %1 call', 'Make %1 calls', calls)
      }
      trans={trans}
    >
      <RowsFields
        sources={sources}
        rows={choice.rows}
        onChange={setChoice}
        trans={trans}
      />
      <Choices
        label={trans.__('Versions')}
        options={versions.map(({ version, aliases }) => [
          version,
          [`v${version}`, ...aliases].join(' · ')
        ])}
        chosen={asked}
        onChoose={setChosen}
      />
      <ModelsView sources={sources} trans={trans}>
        {found => (
          <Choices
            label={trans.__('Models')}
            options={found.map(({ name }) => [name, name])}
            chosen={models}
            onChoose={setModels}
          />
        )}
      </ModelsView>
    </CostForm>
  );
}

/** What the calls of a run are about, and what they cost at most. */
function costText(cost: ITrialCost, trans: TranslationBundle): string {
  return [rowsText(cost.rows, cost.digest, trans), callsText(cost, trans)].join(
    ' '
  );
}

/** One run: how far it is, and its answers side by side. */
function ShownTrial(props: {
  trials: TrialsModel;
  found: IWork<ITrialTable>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { trials, found, trans } = props;
  const { found: table } = found;
  const { value: listed = [] } = useResource(trials.list);
  const { answered, failed, wanted } = table;
  const missing = wanted - answered;
  return (
    <section className="gol-Trial" aria-label={trans.__('Answers')}>
      <div className="gol-Trial-head">
        <label className="gol-Prompt-select">
          {trans.__('Run')}
          <select
            className="jp-mod-styled"
            value={table.id}
            onChange={({ target }) => void trials.choose(target.value)}
          >
            {[
              ...(listed.some(({ id }) => id === table.id) ? [] : [table]),
              ...listed
            ].map(each => (
              <option key={each.id} value={each.id}>
                {nameOf(each)}
              </option>
            ))}
          </select>
        </label>
        <Progress
          label={trans.__('Answers')}
          done={answered}
          of={wanted}
          text={trans.__(
            '%1 of %2 answers',
            answered.toLocaleString(),
            wanted.toLocaleString()
          )}
        />
        <CancelOrResume
          model={trials}
          work={found}
          canResume={missing > 0}
          resume={
            missing === failed
              ? trans.__('Rerun failed calls')
              : trans.__('Resume')
          }
          caption={trans._n(
            'Ask for the %1 missing answer. No other answer is paid for again.',
            'Ask for the %1 missing answers. No other answer is paid for again.',
            missing
          )}
          trans={trans}
        />
      </div>
      <p className="gol-Note">
        {[table.data, rowsText(table.row_count, table.digest, trans)].join(
          ' · '
        )}
      </p>
      <FailedTask work={found} title={trans.__('The run ended early.')} />
      {failed > 0 && (
        <Callout
          tone="warning"
          title={trans._n(
            '%1 call gave no answer.',
            '%1 calls gave no answer.',
            failed
          )}
        >
          {reasonsOf(table.rows)}
        </Callout>
      )}
      <Answers key={table.id} found={found} trans={trans} />
    </section>
  );
}

function Answers(props: {
  found: IWork<ITrialTable>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { found: table } = props.found;
  const { trans } = props;
  const { columns } = table;
  const [marks, setMarks] = React.useState(true);
  const [onlyFailed, setOnlyFailed] = React.useState(false);
  const shown = onlyFailed
    ? table.rows.filter(({ answers }) =>
        answers.some(({ state }) => state === 'failed')
      )
    : table.rows;
  const cells: DataTable.IColumn<ITrialRow>[] = [
    {
      id: 'row',
      title: trans.__('Row'),
      isHead: true,
      cell: ({ id }) => id,
      value: ({ id }) => (Number.isNaN(Number(id)) ? id : Number(id))
    },
    {
      id: 'values',
      title: trans.__('Values'),
      cellClass: () => 'gol-Trial-values',
      cell: ({ row }) => valuesOf(row),
      value: ({ row }) => valuesOf(row),
      tip: ({ row }) => valuesOf(row)
    },
    ...columns.map((column, at): DataTable.IColumn<ITrialRow> => ({
      id: column,
      title: column,
      cellClass: () => 'gol-Trial-answer',
      cell: ({ answers }) => (
        <Answer
          answer={answers[at]}
          beside={marks && columns.length > 1 ? besideOf(answers, at) : null}
          isFirst={at === 0}
          trans={trans}
        />
      ),
      value: ({ answers }) => answers[at].text ?? ''
    }))
  ];
  return (
    <>
      <div className="gol-Trial-head">
        {columns.length > 1 && (
          <label>
            <input
              type="checkbox"
              checked={marks}
              onChange={({ target }) => setMarks(target.checked)}
            />
            {trans.__('Mark the words that differ from %1', columns[0])}
          </label>
        )}
        {table.failed > 0 && (
          <label>
            <input
              type="checkbox"
              checked={onlyFailed}
              onChange={({ target }) => setOnlyFailed(target.checked)}
            />
            {trans.__('Rows with errors alone')}
          </label>
        )}
      </div>
      <ListTable
        caption={trans.__('Answers')}
        columns={cells}
        rows={shown}
        rowKey={({ id }) => id}
        sort={{ column: 'row', descending: false }}
        count={count => trans._n('%1 row', '%1 rows', count)}
        trans={trans}
      />
    </>
  );
}

/** The answer that the words of another one are compared with. */
function besideOf(
  answers: readonly ITrialAnswer[],
  at: number
): ITrialAnswer | null {
  // The first answer has marks where there is one other alone.
  return at > 0 ? answers[0] : answers.length === 2 ? answers[1] : null;
}

function Answer(props: {
  answer: ITrialAnswer;
  beside: ITrialAnswer | null;
  isFirst: boolean;
  trans: TranslationBundle;
}): React.ReactElement {
  const { answer, beside, isFirst, trans } = props;
  const { state, text = '', cut, tool_calls = [], tokens = 0 } = answer;
  if (state === 'missing') {
    return <span className="gol-Note">{trans.__('Not asked yet')}</span>;
  }
  if (state === 'failed') {
    return (
      <span className="gol-Trial-error">{trans.__('No answer: %1', text)}</span>
    );
  }
  const Mark = isFirst ? 'del' : 'ins';
  const parts =
    beside?.state === 'answered' && beside.text !== text
      ? isFirst
        ? wordDiff(text, beside.text ?? '')[0]
        : wordDiff(beside.text ?? '', text)[1]
      : [{ text, changed: false }];
  return (
    <>
      <span className="gol-WordDiff">
        {parts.map(({ text: part, changed }, at) =>
          changed ? <Mark key={at}>{part}</Mark> : <span key={at}>{part}</span>
        )}
      </span>
      {tool_calls.length > 0 && (
        <code className="gol-Trial-calls">
          {tool_calls
            .map(call => JSON.stringify(call.function ?? call))
            .join('\n')}
        </code>
      )}
      <span className="gol-Note">
        {[
          trans._n('%1 token', '%1 tokens', tokens),
          cut && trans.__('cut off at max_tokens'),
          !text && tool_calls.length === 0 && trans.__('empty')
        ]
          .filter(Boolean)
          .join(' · ')}
      </span>
    </>
  );
}

/** The reasons of failed calls, each once. */
function reasonsOf(rows: readonly ITrialRow[]): string {
  const all = rows.flatMap(({ answers }) =>
    answers.filter(({ state }) => state === 'failed').map(({ text }) => text)
  );
  return [...new Set(all)].slice(0, 3).join(' ');
}

function valuesOf(row: ITrialRow['row']): string {
  return Object.entries(row)
    .map(
      ([name, value]) =>
        `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`
    )
    .join('\n');
}

function nameOf({ data, created_at, columns }: ITrialSummary): string {
  return [whenAndWhere(created_at, data), columns.join(', ')].join(' · ');
}
