import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  CopyButton,
  DownState,
  EmptyState,
  tellFailure,
  useSignalled
} from '../../../core';
import type { GenOpsEvents } from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import { columnMenu, openMenu } from '../../../experiments/table/menus';
import type { RunTableModel } from '../../../experiments/table/model';
import { isOfQuery } from '../../../experiments/table/query-text';
import type { IRunSort } from '../../../experiments/table/service';
import { FIRST_VIEW } from '../../../experiments/table/view-state';
import { ColumnsDrawer } from '../../../experiments/table/view/columns-drawer';
import { RunGrid } from '../../../experiments/table/view/grid';
import { QueryBox } from '../../../experiments/table/view/query-box';
import { Freshness } from '../../../experiments/table/view/status-line';
import { MenuButton } from '../../../experiments/table/view/toolbar';
import type { ITraceActions } from '../actions';
import type { DatasetRows } from '../dataset-rows';
import type { LiveTail } from '../live-tail';
import type { TracesService } from '../service';

import { CompareTraces } from './compare';
import { TracePane } from './trace-pane';

/** Failures sort before all others by MLflow's words, and within them the newest first. */
const ERRORS_FIRST: readonly IRunSort[] = [
  { column: 'status', descending: false },
  { column: 'start_time', descending: true }
];
const BY_SESSION: readonly string[] = ['session'];
const FIRST_TRACE = `import mlflow

mlflow.openai.autolog()  # or langchain, anthropic`;

/** All traces: query, sort, sessions, and one or two traces beside them. */
export function Traces(props: Traces.IProps): React.ReactElement {
  const { model, tail, rows, trans } = props;
  const { windows, selection } = model;
  const view = useSignalled(model.changed, () => model.view);
  const opened = useSignalled(model.changed, () => model.opened);
  const snapshot = useSignalled(windows.changed, () => windows.snapshot);
  const selected = useSignalled(selection.changed, () =>
    selection.count(windows.snapshot.matched)
  );
  const isLive = useSignalled(tail.changed, () => tail.isLive);
  const isBehind = useSignalled(tail.changed, () => tail.isBehind);
  const known = useResource(model.columns);
  const [choosing, setChoosing] = React.useState(false);
  const [compared, setCompared] = React.useState<[string, string] | null>(null);
  React.useEffect(() => {
    if (opened) {
      setChoosing(false);
      setCompared(null);
    }
  }, [opened]);

  const { total, matched, state, switching } = snapshot;
  // Before the columns are known there is no question: show the error of that request.
  const error = snapshot.error ?? (total === null ? known.error : null) ?? null;
  const queryError = error && isOfQuery(error) ? error : null;
  const tell = (reason: unknown) => tellFailure(reason, trans);
  const withSelected = (act: (ids: string[]) => void) =>
    void model.selected().then(act).catch(tell);
  const compare = () =>
    withSelected(([first, second]) => {
      model.open(null);
      setChoosing(false);
      setCompared([first, second]);
    });
  const errorsFirst = sameSort(view.sort, ERRORS_FIRST);
  const bySession = view.groups.join() === BY_SESSION.join();

  return (
    <div className="gol-RunTable gol-Traces">
      <div className="gol-RunTable-toolbar">
        <QueryBox
          model={model}
          query={view.query}
          error={queryError}
          doubts={snapshot.doubts}
          trans={trans}
        />
        <div className="gol-RunTable-tools">
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
          <button
            type="button"
            className="gol-RunTable-button"
            aria-expanded={choosing}
            onClick={() => {
              model.open(null);
              setCompared(null);
              setChoosing(!choosing);
            }}
          >
            {trans.__('Columns')}
          </button>
          <MenuButton
            label={trans.__('View')}
            items={() => [
              {
                label: trans.__('Default Columns'),
                execute: () => model.setView({ columns: null })
              },
              {
                label: trans.__('Reset View'),
                execute: () => model.setView(FIRST_VIEW)
              }
            ]}
          />
        </div>
      </div>
      {error && !queryError && (
        <DownState
          what={trans.__('The traces cannot be read.')}
          error={error}
          busy={known.busy}
          trans={trans}
          onRetry={() => {
            model.refresh();
            if (total === null) {
              void model.columns.refresh();
            }
          }}
        />
      )}
      {state?.problem && !error && (
        <p className="gol-Traces-problem" role="status">
          {trans.__('The traces are not updated: %1', state.problem)}
        </p>
      )}
      <div className="gol-RunTable-body">
        <div className="gol-RunTable-main">
          {total === null && !error && (
            <div className="gol-Loading" role="status">
              <span className="gol-Loading-bar" aria-hidden="true" />
              <span className="gol-VisuallyHidden">{trans.__('Loading…')}</span>
            </div>
          )}
          {model.shown.length > 0 && (
            <RunGrid
              model={model}
              trans={trans}
              onColumnMenu={(column, left, top) =>
                openMenu(columnMenu(model, column, trans), left, top)
              }
              onRowMenu={({ id, index }, left, top) => {
                if (!id) {
                  return;
                }
                if (!selection.has(id)) {
                  selection.clear();
                  selection.toggle(id, index);
                }
                openMenu(
                  [
                    {
                      label: trans.__('Show Trace'),
                      execute: () => model.open(id)
                    },
                    {
                      label: trans.__('Compare'),
                      enabled: selection.count(matched) === 2,
                      execute: compare
                    },
                    null,
                    {
                      label: trans.__('Add to Data Set'),
                      execute: () =>
                        withSelected(ids => void rows.add(ids, true))
                    },
                    {
                      label: trans.__('Copy Trace Id'),
                      execute: () => Clipboard.copyToSystem(id)
                    }
                  ],
                  left,
                  top
                );
              }}
              onExtend={index => void selection.extend(index).catch(tell)}
              onToggleGroup={head => {
                if (head.group) {
                  void model
                    .toggleGroup(head.group.path, head.index)
                    .catch(tell);
                }
              }}
              onDelete={() => undefined}
            />
          )}
          {snapshot.rows.length === 0 &&
            total !== null &&
            !switching &&
            !queryError && (
              <div className="gol-RunTable-empty">
                {state?.complete === false && !error ? (
                  <EmptyState
                    text={trans.__(
                      'MLflow has not answered yet. The traces appear as they are read.'
                    )}
                  />
                ) : (
                  <NoTraces model={model} total={total} trans={trans} />
                )}
              </div>
            )}
        </div>
        {choosing && (
          <ColumnsDrawer
            model={model}
            onClose={() => setChoosing(false)}
            trans={trans}
          />
        )}
        {compared && !choosing && (
          <CompareTraces
            key={compared.join()}
            first={compared[0]}
            second={compared[1]}
            service={props.service}
            onClose={() => setCompared(null)}
            trans={trans}
          />
        )}
        {opened && !choosing && !compared && (
          <TracePane
            id={opened}
            seen={props.seen}
            service={props.service}
            events={props.events}
            rows={rows}
            actions={props.actions}
            onClose={() => model.open(null)}
            trans={trans}
          />
        )}
      </div>
      <div className="gol-RunTable-status">
        <span className="gol-RunTable-totals" role="status">
          {total !== null && countWords(matched, total, trans)}
          {selected > 0 && (
            <strong>
              {' · '}
              {trans.__('%1 selected', selected.toLocaleString())}
            </strong>
          )}
        </span>
        {isBehind && (
          <ActionButton
            label={trans.__('Show new traces')}
            caption={trans.__('Traces landed or changed since the last look')}
            onClick={() => tail.catchUp()}
          />
        )}
        {selected > 0 && (
          <span
            className="gol-RunTable-actions"
            role="toolbar"
            aria-label={trans.__('Selected traces')}
          >
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
            <ActionButton
              label={trans.__('Clear')}
              caption={trans.__('Clear the selection (Escape)')}
              onClick={() => selection.clear()}
            />
          </span>
        )}
        {state &&
          (state.complete ? (
            <Freshness state={state} trans={trans} />
          ) : (
            <span className="gol-RunTable-freshness" role="status">
              {trans.__('Reading traces…')}
            </span>
          ))}
      </div>
    </div>
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

function NoTraces(props: {
  model: RunTableModel;
  total: number;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, total, trans } = props;
  if (model.view.query && total > 0) {
    return (
      <EmptyState
        text={trans.__('No trace matches this query.')}
        actions={[
          {
            label: trans.__('Clear the query'),
            onClick: () => model.setView({ query: '' })
          }
        ]}
      />
    );
  }
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
