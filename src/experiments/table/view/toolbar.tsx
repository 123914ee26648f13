import { caretDownIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useSignalled } from '../../../core';
import type { ApiError } from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import { groupingMenu } from '../group-menus';
import type { MenuItem } from '../menus';
import { openMenu, viewMenu } from '../menus';

import { QueryBox } from './query-box';
import type { RunTable } from './run-table';

/** The choice of runs, and their arrangement. */
export function Toolbar(props: Toolbar.IProps): React.ReactElement {
  const { model, store, queryError, trans } = props;
  const view = useSignalled(model.changed, () => model.view);
  const doubts = useSignalled(
    model.windows.changed,
    () => model.windows.snapshot.doubts
  );
  const { value: experiments = [] } = useResource(model.experiments);
  const [chosen = ''] = view.experiments;
  const isListed = experiments.some(({ id }) => id === chosen);
  return (
    <div className="gol-RunTable-toolbar">
      <select
        className="gol-RunTable-input gol-RunTable-experiment"
        aria-label={trans.__('Experiment')}
        value={chosen}
        onChange={event => {
          const { value } = event.target;
          model.setView({ experiments: value ? [value] : [] });
        }}
      >
        <option value="">{trans.__('All experiments')}</option>
        {chosen && !isListed && <option value={chosen}>{chosen}</option>}
        {experiments.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      <QueryBox
        model={model}
        query={view.query}
        error={queryError}
        doubts={doubts}
        trans={trans}
      />
      <div className="gol-RunTable-tools">
        <div
          className="gol-RunTable-switch"
          role="group"
          aria-label={trans.__('Which runs')}
        >
          {(['active', 'deleted'] as const).map(lifecycle => (
            <button
              key={lifecycle}
              type="button"
              aria-pressed={view.lifecycle === lifecycle}
              onClick={() => model.setView({ lifecycle })}
            >
              {lifecycle === 'active'
                ? trans.__('Active')
                : trans.__('Deleted')}
            </button>
          ))}
        </div>
        {props.runActions.canOpenCharts() && (
          <button
            type="button"
            className="gol-RunTable-button"
            onClick={() => props.runActions.openCharts()}
          >
            {trans.__('Charts')}
          </button>
        )}
        <button
          type="button"
          className="gol-RunTable-button"
          aria-expanded={props.choosing}
          onClick={props.onChoose}
        >
          {trans.__('Columns')}
        </button>
        <MenuButton
          label={
            view.groups.length > 0
              ? trans.__('Group (%1)', view.groups.length)
              : trans.__('Group')
          }
          items={() => groupingMenu(model, trans)}
        />
        <MenuButton
          label={trans.__('Views')}
          items={() => viewMenu(model, store, trans)}
        />
      </div>
    </div>
  );
}

/** A button that opens a menu. */
export function MenuButton(props: {
  label: string;
  items: () => MenuItem[];
}): React.ReactElement {
  return (
    <button
      type="button"
      className="gol-RunTable-button"
      aria-haspopup="menu"
      onClick={event => {
        const { left, bottom } = event.currentTarget.getBoundingClientRect();
        openMenu(props.items(), left, bottom);
      }}
    >
      {props.label}
      <caretDownIcon.react tag="span" className="gol-Icon" />
    </button>
  );
}

export namespace Toolbar {
  export interface IProps extends RunTable.IProps {
    /** Whether the columns are listed. */
    choosing: boolean;
    onChoose: () => void;
    queryError: ApiError | null;
  }
}
