import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  CopyButton,
  EmptyState,
  tellFailure,
  useSignalled
} from '../../../core';
import type { GenOpsEvents } from '../../../core';
import type { RunTableModel } from '../../../experiments/table/model';
import type { CellValue, IRow } from '../../../experiments/table/rows';
import { valueOf } from '../../../experiments/table/rows';
import type { IRunSort } from '../../../experiments/table/service';
import {
  QueriedTable,
  useQueriedTable
} from '../../../experiments/table/view/queried-table';
import type { ITraceActions } from '../actions';
import type { DatasetRows } from '../dataset-rows';
import type { LiveTail } from '../live-tail';
import type { TracesService } from '../service';

import { CompareTraces } from './compare';
import { SessionPane } from './session-pane';
import { TracePane } from './trace-pane';

/** Failures sort before all others by MLflow's words, and within them the newest first. */
const ERRORS_FIRST: readonly IRunSort[] = [
  { column: 'status', descending: false },
  { column: 'start_time', descending: true }
];
const BY_SESSION: readonly string[] = ['session'];
const FIRST_TRACE = `import mlflow

mlflow.openai.autolog()  # or langchain, anthropic`;

/** Two traces that are compared, or a session. */
type Beside =
  | { readonly first: string; readonly second: string }
  | { readonly session: string; readonly experiment: string };

/** All traces: query, sort, sessions, and one or two traces beside them. */
export function Traces(props: Traces.IProps): React.ReactElement {
  const { model, tail, rows, trans } = props;
  const table = useQueriedTable<Beside>(model);
  const { view, selected, opened } = table;
  const beside = table.beside === 'columns' ? null : table.beside;
  const isLive = useSignalled(tail.changed, () => tail.isLive);
  const isBehind = useSignalled(tail.changed, () => tail.isBehind);

  const withSelected = (act: (ids: string[]) => void) =>
    void model
      .selected()
      .then(act)
      .catch(reason => tellFailure(reason, trans));
  const compare = () =>
    withSelected(([first, second]) => table.show({ first, second }));
  const showSession = (session: string, experiment: string) =>
    table.show({ session, experiment });
  const sessionItem = (session: CellValue) => ({
    label: trans.__('Show Session'),
    enabled: typeof session === 'string' && session !== '',
    execute: () => showSession(String(session), '')
  });
  const groupMenu = ({ group }: IRow) =>
    group
      ? [
          {
            label: group.open ? trans.__('Collapse') : trans.__('Expand'),
            execute: () => model.folds.turn(group.path)
          },
          ...(bySession ? [sessionItem(group.path[0])] : [])
        ]
      : [];
  const errorsFirst = sameSort(view.sort, ERRORS_FIRST);
  const bySession = view.groups.join() === BY_SESSION.join();

  return (
    <QueriedTable
      className="gol-Traces"
      model={model}
      table={table}
      words={{
        down: trans.__('The traces cannot be read.'),
        notUpdated: problem =>
          trans.__('The traces are not updated: %1', problem),
        reading: trans.__(
          'MLflow has not answered yet. The traces appear as they are read.'
        ),
        progress: trans.__('Reading traces…'),
        noMatch: trans.__('No trace matches this query.'),
        selected: trans.__('Selected traces'),
        totals: (matched, total) => countWords(matched, total, trans)
      }}
      tools={
        <div
          className="gol-RunTable-switch"
          role="group"
          aria-label={trans.__('Order of the traces')}
        >
          <button
            type="button"
            aria-pressed={errorsFirst}
            onClick={() =>
              model.setView({ sort: errorsFirst ? [] : [...ERRORS_FIRST] })
            }
          >
            {trans.__('Errors first')}
          </button>
          <button
            type="button"
            aria-pressed={bySession}
            title={trans.__('Group the traces of each session')}
            onClick={() =>
              model.setView({ groups: bySession ? [] : [...BY_SESSION] })
            }
          >
            {trans.__('Sessions')}
          </button>
          <button
            type="button"
            aria-pressed={isLive}
            title={trans.__('Show new traces as they land')}
            onClick={() => {
              tail.isLive = !tail.isLive;
            }}
          >
            {trans.__('Live')}
          </button>
        </div>
      }
      empty={<NoTraces trans={trans} />}
      groupMenu={groupMenu}
      rowMenu={(id, count, row) => [
        {
          label: trans.__('Show Trace'),
          execute: () => model.open(id)
        },
        sessionItem(valueOf(row, 'session')),
        {
          label: trans.__('Compare'),
          enabled: count === 2,
          execute: compare
        },
        null,
        {
          label: trans.__('Add to Data Set'),
          execute: () => withSelected(ids => void rows.add(ids, true))
        },
        {
          label: trans.__('Copy Trace Id'),
          execute: () => Clipboard.copyToSystem(id)
        }
      ]}
      news={
        isBehind && (
          <ActionButton
            label={trans.__('Show new traces')}
            caption={trans.__('Traces landed or changed since the last look')}
            onClick={() => tail.catchUp()}
          />
        )
      }
      actions={
        <>
          {selected === 2 && (
            <ActionButton
              label={trans.__('Compare')}
              caption={trans.__('Show the two traces side by side')}
              onClick={compare}
            />
          )}
          <ActionButton
            label={trans.__('Add to data set…')}
            onClick={() => withSelected(ids => void rows.add(ids, true))}
          />
        </>
      }
      trans={trans}
    >
      {beside && 'session' in beside && (
        <SessionPane
          key={`${beside.session} ${beside.experiment}`}
          {...beside}
          seen={props.seen}
          service={props.service}
          events={props.events}
          onOpen={id => model.open(id)}
          onClose={() => table.show(null)}
          trans={trans}
        />
      )}
      {beside && 'first' in beside && (
        <CompareTraces
          key={`${beside.first} ${beside.second}`}
          {...beside}
          service={props.service}
          onClose={() => table.show(null)}
          trans={trans}
        />
      )}
      {opened && (
        <TracePane
          id={opened}
          seen={props.seen}
          service={props.service}
          events={props.events}
          rows={rows}
          actions={props.actions}
          onSession={showSession}
          onTrace={id => model.open(id)}
          onClose={() => model.open(null)}
          trans={trans}
        />
      )}
    </QueriedTable>
  );
}

export namespace Traces {
  export interface IProps {
    model: RunTableModel;
    /** Whether the page is visible. */
    seen: boolean;
    service: TracesService;
    events: GenOpsEvents;
    tail: LiveTail;
    rows: DatasetRows;
    actions: ITraceActions;
    trans: TranslationBundle;
  }
}

function countWords(
  matched: number,
  total: number,
  trans: TranslationBundle
): string {
  const all = total.toLocaleString();
  return matched === total
    ? trans._n('%2 trace', '%2 traces', total, all)
    : trans.__('%1 of %2 traces', matched.toLocaleString(), all);
}

function NoTraces(props: { trans: TranslationBundle }): React.ReactElement {
  const { trans } = props;
  return (
    <EmptyState
      text={trans.__(
        'No traces yet. Run these two lines in a notebook: each later call of a model becomes a trace.'
      )}
    >
      <div className="gol-Traces-first">
        <pre tabIndex={0}>{FIRST_TRACE}</pre>
        <CopyButton
          text={FIRST_TRACE}
          label={trans.__('Copy the code')}
          trans={trans}
        />
      </div>
    </EmptyState>
  );
}

function sameSort(
  one: readonly IRunSort[],
  other: readonly IRunSort[]
): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
