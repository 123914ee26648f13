import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useSignalled } from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import { groupingMenu } from '../group-menus';
import type { MenuItem } from '../menus';
import { openMenu, viewMenu } from '../menus';
import type { RunTableModel } from '../model';

import type { RunTable } from './run-table';

/** The choice of an experiment. */
export function ExperimentChoice(props: {
  model: RunTableModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const [chosen = ''] = useSignalled(
    model.changed,
    () => model.view
  ).experiments;
  const { value: experiments = [] } = useResource(model.experiments);
  const isListed = experiments.some(({ id }) => id === chosen);
  return (
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
  );
}

/** Active or deleted runs, and their charts. */
export function RunTools(props: RunTable.IProps): React.ReactElement {
  const { model, runActions, trans } = props;
  const { lifecycle: chosen } = useSignalled(model.changed, () => model.view);
  return (
    <>
      <div
        className="gol-RunTable-switch"
        role="group"
        aria-label={trans.__('Which runs')}
      >
        {(['active', 'deleted'] as const).map(lifecycle => (
          <button
            key={lifecycle}
            type="button"
            aria-pressed={chosen === lifecycle}
            onClick={() => model.setView({ lifecycle })}
          >
            {lifecycle === 'active' ? trans.__('Active') : trans.__('Deleted')}
          </button>
        ))}
      </div>
      {runActions.canOpenCharts() && (
        <button
          type="button"
          className="gol-RunTable-button"
          onClick={() => runActions.openCharts()}
        >
          {trans.__('Charts')}
        </button>
      )}
    </>
  );
}

/** The menus of groups and of saved views. */
export function RunMenus(props: RunTable.IProps): React.ReactElement {
  const { model, store, trans } = props;
  const { groups } = useSignalled(model.changed, () => model.view);
  return (
    <>
      <MenuButton
        label={
          groups.length > 0
            ? trans.__('Group (%1)', groups.length)
            : trans.__('Group')
        }
        items={() => groupingMenu(model, trans)}
      />
      <MenuButton
        label={trans.__('Views')}
        items={() => viewMenu(model, store, trans)}
      />
    </>
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
