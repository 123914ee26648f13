import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, useSignalled } from '../../core';
import { chooseMetrics } from '../metric-choice';
import type { ExperimentsModel } from '../model';
import { isRunning } from '../model';
import type { IRunListSnapshot } from '../run-list';
import type { IRun } from '../service';

import type { IRunActions } from './actions';
import { RunRow } from './run-row';

/**
 * The runs: running ones first, then the others, newest first, page by page.
 */
export function RunRows(props: RunRows.IProps): React.ReactElement {
  const { model, runs, actions, trans } = props;
  const opened = useSignalled(model.openedChanged, () => model.opened);
  const [focused, setFocused] = React.useState<string | null>(null);
  const key = chooseMetrics(runs).join('\n');
  // The rows are drawn again only when the choice changes.
  const metrics = React.useMemo(() => (key ? key.split('\n') : []), [key]);
  const running = runs.filter(isRunning);
  const others = runs.filter(run => !isRunning(run));
  const all = [...running, ...others];
  const stop = [focused, opened, all[0]?.run_id].find(
    id => id && all.some(run => run.run_id === id)
  );

  const row = (run: IRun) => (
    <RunRow
      key={run.run_id}
      run={run}
      metrics={metrics}
      opened={run.run_id === opened}
      charted={run === running[0]}
      tabStop={run.run_id === stop}
      model={model}
      actions={actions}
      trans={trans}
    />
  );
  return (
    <div className={props.isSwitching ? 'gol-mod-stale' : undefined}>
      <ul
        className="gol-Runs"
        aria-label={trans.__('Runs')}
        aria-busy={props.isSwitching}
        onKeyDown={onKeyDown}
        onFocus={event => setFocused(event.target.dataset.run ?? focused)}
      >
        {running.map(row)}
        {others.map(row)}
      </ul>
      {props.moreError && (
        <p className="gol-Field-error" role="alert">
          {props.moreError.message} {props.moreError.hint}
        </p>
      )}
      {props.hasMore && (
        <div className="gol-ShowMore">
          <ActionButton
            label={
              props.loadingMore ? trans.__('Loading…') : trans.__('Show more')
            }
            disabled={props.loadingMore}
            onClick={() => void model.list.showMore()}
          />
        </div>
      )}
    </div>
  );
}

export namespace RunRows {
  export interface IProps extends IRunListSnapshot {
    model: ExperimentsModel;
    actions: IRunActions;
    trans: TranslationBundle;
  }
}

/** Move between the heads of the rows with Up, Down, Home and End. */
function onKeyDown(event: React.KeyboardEvent<HTMLUListElement>): void {
  const heads = Array.from(
    event.currentTarget.querySelectorAll<HTMLButtonElement>('.gol-Run-head')
  );
  const here = heads.indexOf(event.target as HTMLButtonElement);
  if (here === -1) {
    return;
  }
  const target = {
    ArrowDown: here + 1,
    ArrowUp: here - 1,
    Home: 0,
    End: heads.length - 1
  }[event.key];
  if (target !== undefined && heads[target]) {
    event.preventDefault();
    heads[target].focus();
  }
}
