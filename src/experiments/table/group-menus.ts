import { InputDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { titled } from '../../core';

import {
  aggregateWord,
  columnLabel,
  groupOfColumn,
  groupWord
} from './column-messages';
import { RUNS } from './groups';
import type { MenuItem } from './menus';
import type { RunTableModel } from './model';
import type { IAggregate, IRunColumnInfo } from './service';
import { MOST_LEVELS } from './view-state';
import type { IRow } from './rows';

const USUAL = ['experiment', 'status', 'user'];
/** Columns that the menu itself offers. */
const MOST_OFFERED = 14;
/** Columns that are offered while the user types one. */
const MOST_LISTED = 2000;
const AGGREGATES: readonly IAggregate[] = ['mean', 'min', 'max'];
const NUMBERS = ['start_time', 'end_time', 'duration'];

/** Return whether runs can be grouped by a column: it must have texts. */
export function canGroup(column: string): boolean {
  return groupOfColumn(column) !== 'metric' && !NUMBERS.includes(column);
}

/** The menu for grouping: columns, open groups, and the sort of groups. */
export function groupingMenu(
  model: RunTableModel,
  trans: TranslationBundle
): MenuItem[] {
  const { groups, sort } = model.view;
  const shown = model.shown.map(({ name }) => name).filter(canGroup);
  const offered = [
    ...new Set([
      ...groups,
      ...USUAL,
      ...shown.filter(name => groupOfColumn(name) !== 'attribute')
    ])
  ].slice(0, MOST_OFFERED);
  const bySize = sort[0]?.column === RUNS && sort[0].descending;
  return [
    ...offered.map(column => ({
      label: menuLabel(column, groups, trans),
      toggled: groups.includes(column),
      enabled: groups.includes(column) || groups.length < MOST_LEVELS,
      execute: () => toggleGrouping(model, column)
    })),
    {
      label: trans.__('Another Column…'),
      enabled: groups.length < MOST_LEVELS,
      execute: () => void askForColumn(model, trans)
    },
    null,
    {
      label: trans.__('No Groups'),
      enabled: groups.length > 0,
      execute: () => model.setView({ groups: [] })
    },
    null,
    ...foldingItems(model, trans),
    {
      label: trans.__('Largest Groups First'),
      enabled: groups.length > 0,
      toggled: bySize,
      execute: () =>
        model.setView({
          sort: bySize
            ? sort.slice(1)
            : [
                { column: RUNS, descending: true },
                ...sort.filter(({ column }) => column !== RUNS)
              ]
        })
    }
  ];
}

/** The menu of a group. */
export function groupMenu(
  model: RunTableModel,
  row: IRow,
  toggle: () => void,
  trans: TranslationBundle
): MenuItem[] {
  const { group } = row;
  return group
    ? [
        {
          label: group.open ? trans.__('Collapse') : trans.__('Expand'),
          execute: () => model.folds.turn(group.path)
        },
        ...foldingItems(model, trans),
        null,
        { label: trans.__('Select the Runs of This Group'), execute: toggle }
      ]
    : [];
}

/** The items for groups in a column's menu. */
export function columnGroupItems(
  model: RunTableModel,
  column: string,
  trans: TranslationBundle
): MenuItem[] {
  const { groups } = model.view;
  if (canGroup(column)) {
    return [
      null,
      {
        label: trans.__('Group by This Column'),
        toggled: groups.includes(column),
        enabled: groups.includes(column) || groups.length < MOST_LEVELS,
        execute: () => toggleGrouping(model, column)
      }
    ];
  }
  if (groups.length === 0) {
    return [];
  }
  const usual = column.endsWith('_time') ? 'max' : 'mean';
  const shown = model.shown.find(({ name }) => name === column);
  return [
    null,
    ...AGGREGATES.map(how => ({
      label: trans.__('Groups Show: %1', aggregateWord(how, trans)),
      toggled: (shown?.aggregate ?? usual) === how,
      execute: () =>
        model.setColumns(all =>
          all.map(each =>
            each.name === column ? { ...each, aggregate: how } : each
          )
        )
    }))
  ];
}

function foldingItems(
  model: RunTableModel,
  trans: TranslationBundle
): MenuItem[] {
  const enabled = model.view.groups.length > 0;
  return [
    {
      label: trans.__('Expand All'),
      enabled,
      execute: () => model.folds.openAll()
    },
    {
      label: trans.__('Collapse All'),
      enabled,
      execute: () => model.folds.closeAll()
    }
  ];
}

function toggleGrouping(model: RunTableModel, column: string): void {
  const { groups } = model.view;
  model.setView({
    groups: groups.includes(column)
      ? groups.filter(each => each !== column)
      : [...groups, column].slice(0, MOST_LEVELS)
  });
}

function menuLabel(
  column: string,
  groups: readonly string[],
  trans: TranslationBundle
): string {
  const word = groupWord(groupOfColumn(column), trans);
  const label = columnLabel(column, trans);
  const named = word ? trans.__('%1 (%2)', label, word) : label;
  return groups.length > 1 && groups.includes(column)
    ? trans.__('%1. %2', groups.indexOf(column) + 1, named)
    : named;
}

async function askForColumn(
  model: RunTableModel,
  trans: TranslationBundle
): Promise<void> {
  await model.columns.refresh();
  const known = [...(model.columns.value?.columns ?? [])]
    .filter(({ column, runs }) => runs > 0 && canGroup(column))
    .sort((one, other) => other.runs - one.runs);
  const answer = await titled(trans.__('Group by'), title =>
    InputDialog.getItem({
      title,
      label: trans.__('A parameter, a tag or another column of text'),
      items: known.slice(0, MOST_LISTED).map(({ column }) => column),
      editable: true,
      okLabel: trans.__('Group')
    })
  );
  const column = answer.value && named(answer.value.trim(), known);
  if (answer.button.accept && column && !model.view.groups.includes(column)) {
    toggleGrouping(model, column);
  }
}

/**
 * Return the named column, with or without its prefix; the server refuses
 * unknown ones.
 */
function named(text: string, known: readonly IRunColumnInfo[]): string {
  const found = known.find(
    ({ column }) => column === text || column.endsWith(`.${text}`)
  );
  return found?.column ?? text;
}
