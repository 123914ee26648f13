import { InputDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';

import { titled } from '../../core';

import type { RunActions } from './actions';
import { canCompare } from './actions';
import {
  TIMES,
  columnLabel,
  defaultWidth,
  groupOfColumn
} from './column-messages';
import { columnGroupItems } from './group-menus';
import type { RunTableModel } from './model';
import type { ViewStore } from './saved-views';
import type { IShownColumn } from './view-state';
import { FIRST_VIEW, inOrder, moved } from './view-state';

const WIDER_PX = 40;

/** An item of a menu; null is a separator. */
export type MenuItem = {
  label: string;
  execute: () => void;
  enabled?: boolean;
  toggled?: boolean;
} | null;

/**
 * Open a menu of the Lab at a point of the page; the focus returns afterwards.
 */
export function openMenu(
  items: readonly MenuItem[],
  left: number,
  top: number
): void {
  const commands = new CommandRegistry();
  const menu = new MenuSvg({ commands });
  items.forEach((item, place) => {
    if (!item) {
      menu.addItem({ type: 'separator' });
      return;
    }
    const command = `item-${place}`;
    commands.addCommand(command, {
      label: item.label,
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => item.enabled ?? true,
      isToggleable: item.toggled !== undefined,
      isToggled: () => item.toggled ?? false,
      execute: item.execute
    });
    menu.addItem({ command });
  });
  const before = document.activeElement;
  menu.aboutToClose.connect(() => {
    // The menu ends after its command ran, and so does the focus.
    requestAnimationFrame(() => {
      if (
        before instanceof HTMLElement &&
        before.isConnected &&
        document.activeElement === document.body
      ) {
        before.focus();
      }
      menu.dispose();
    });
  });
  menu.open(left, top);
}

/** The menu of a column. */
export function columnMenu(
  model: RunTableModel,
  column: string,
  trans: TranslationBundle
): MenuItem[] {
  const order = inOrder(model.shown);
  const place = order.findIndex(({ name }) => name === column);
  const shown = order[place];
  const { sort } = model.view;
  const others = sort.filter(each => each.column !== column);
  const change = (part: Partial<IShownColumn>) =>
    model.setColumns(all =>
      all.map(each => (each.name === column ? { ...each, ...part } : each))
    );
  const move = (step: number) =>
    model.setColumns(all => moved(all, column, order[place + step].name));
  const widen = (by: number) =>
    change({
      width: Math.max(48, (shown?.width ?? defaultWidth(column, trans)) + by)
    });
  const isNumber =
    groupOfColumn(column) === 'metric' ||
    column === 'duration' ||
    column === 'version' ||
    TIMES.includes(column);
  const neighbour = (step: number) =>
    order[place + step]?.pinned === shown?.pinned &&
    order[place + step] !== undefined;
  const sorted = (descending: boolean) => ({ column, descending });
  return [
    {
      label: trans.__('Sort Ascending'),
      execute: () => model.setView({ sort: [sorted(false)] })
    },
    {
      label: trans.__('Sort Descending'),
      execute: () => model.setView({ sort: [sorted(true)] })
    },
    ...(others.length > 0
      ? [
          {
            label: trans.__('Then Sort Ascending'),
            execute: () => model.setView({ sort: [...others, sorted(false)] })
          },
          {
            label: trans.__('Then Sort Descending'),
            execute: () => model.setView({ sort: [...others, sorted(true)] })
          }
        ]
      : []),
    {
      label: trans.__('Remove from Sort'),
      enabled: others.length < sort.length,
      execute: () => model.setView({ sort: others })
    },
    null,
    {
      label: trans.__('Colour by Value'),
      enabled: isNumber,
      toggled: shown?.colored ?? false,
      execute: () => change({ colored: !shown?.colored })
    },
    {
      label: trans.__('Pin'),
      toggled: shown?.pinned ?? false,
      execute: () => change({ pinned: !shown?.pinned })
    },
    {
      label: trans.__('Move Left'),
      enabled: neighbour(-1),
      execute: () => move(-1)
    },
    {
      label: trans.__('Move Right'),
      enabled: neighbour(1),
      execute: () => move(1)
    },
    { label: trans.__('Wider'), execute: () => widen(WIDER_PX) },
    { label: trans.__('Narrower'), execute: () => widen(-WIDER_PX) },
    ...(model.subject.groups ? columnGroupItems(model, column, trans) : []),
    null,
    {
      label: trans.__('Hide %1', columnLabel(column, trans)),
      enabled: column !== model.subject.name,
      execute: () =>
        model.setColumns(all => all.filter(each => each.name !== column))
    }
  ];
}

/** The menu of the selected runs. */
export function runMenu(
  model: RunTableModel,
  actions: RunActions,
  runId: string,
  tag: () => void,
  trans: TranslationBundle
): MenuItem[] {
  const deleted = model.view.lifecycle === 'deleted';
  return [
    {
      label: trans.__('Show Details and Curves'),
      execute: () => model.open(runId)
    },
    {
      label: trans.__('Compare Side by Side'),
      enabled: canCompare(
        model.selection.count(model.windows.snapshot.matched)
      ),
      execute: () => void actions.compare()
    },
    null,
    { label: trans.__('Copy as CSV'), execute: () => void actions.copyCsv() },
    {
      label: trans.__('Copy as DataFrame Code'),
      execute: () => void actions.copyDataFrame()
    },
    null,
    { label: trans.__('Tag…'), enabled: !deleted, execute: tag },
    deleted
      ? { label: trans.__('Restore'), execute: () => void actions.restore() }
      : { label: trans.__('Delete'), execute: () => void actions.delete() }
  ];
}

/** The menu of saved views. */
export function viewMenu(
  model: RunTableModel,
  store: ViewStore,
  trans: TranslationBundle
): MenuItem[] {
  const { views } = store;
  const now = JSON.stringify(model.view);
  const current = views.find(
    ({ name: _, charts: _charts, ...view }) => JSON.stringify(view) === now
  );
  return [
    ...views.map(({ name, charts, ...view }) => ({
      label: name,
      toggled: name === current?.name,
      execute: () => {
        model.setView(view);
        model.charts.choose(charts ?? null);
      }
    })),
    ...(views.length > 0 ? [null] : []),
    {
      label: trans.__('Save View As…'),
      enabled: store.canSave,
      execute: () => void saveView(model, store, current?.name ?? '', trans)
    },
    ...(current
      ? [
          {
            label: trans.__('Remove View “%1”', current.name),
            execute: () => void store.remove(current.name)
          }
        ]
      : []),
    null,
    {
      label: trans.__('Default Columns'),
      execute: () => model.setView({ columns: null })
    },
    {
      label: trans.__('Reset View'),
      execute: () => model.setView(FIRST_VIEW)
    }
  ];
}

async function saveView(
  model: RunTableModel,
  store: ViewStore,
  suggested: string,
  trans: TranslationBundle
): Promise<void> {
  const answer = await titled(trans.__('Save the view'), title =>
    InputDialog.getText({
      title,
      label: trans.__(
        'Name. The view keeps columns, order, groups, query, experiments and open charts. It replaces a view of the same name.'
      ),
      text: suggested,
      okLabel: trans.__('Save')
    })
  );
  const name = answer.value?.trim();
  if (answer.button.accept && name) {
    const view = { ...model.view, columns: [...model.shown] };
    await store.save(name, view, model.charts.now);
    model.setView({ columns: [...model.shown] });
  }
}
