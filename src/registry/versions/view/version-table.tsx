import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, EmptyState, tellFailure } from '../../../core';
import type { RunTableModel } from '../../../experiments/table/model';
import {
  QueriedTable,
  useQueriedTable
} from '../../../experiments/table/view/queried-table';
import type { ModelsService } from '../../service';
import type { IVersionCommands } from '../actions';
import { canCompare, copyCsv } from '../actions';
import type { VersionTableService } from '../service';
import { versionOf } from '../service';

import { Compared } from './compared';
import { VersionDrawer } from './version-drawer';

/** All versions of all models: query, sort, arrange, compare. */
export function VersionTable(props: VersionTable.IProps): React.ReactElement {
  const { model, commands, trans } = props;
  /** Beside the rows: the versions that are compared. */
  const table = useQueriedTable<readonly string[]>(model);
  const { selected, opened, beside } = table;
  const compare = () =>
    void model
      .selected()
      .then(ids => table.show(ids))
      .catch(reason => tellFailure(reason, trans));
  const shownValues = React.useMemo(
    () => model.shown.map(({ name }) => name),
    [model.shown]
  );

  return (
    <QueriedTable
      model={model}
      table={table}
      words={{
        down: trans.__('The versions cannot be read.'),
        notUpdated: problem =>
          trans.__('The versions are not updated: %1', problem),
        reading: trans.__(
          'MLflow has not answered yet. The versions appear as they are read.'
        ),
        progress: trans.__('Reading versions and their runs…'),
        noMatch: trans.__('No version matches this query.'),
        selected: trans.__('Selected versions'),
        totals: (matched, total) => countWords(matched, total, trans)
      }}
      empty={
        <EmptyState
          text={trans.__(
            'No model is registered yet. Log a model in a run, then register it as a version.'
          )}
          actions={[
            {
              label: trans.__("Register a run's model…"),
              onClick: commands.register
            }
          ]}
        />
      }
      rowMenu={(id, count) => {
        const version = versionOf(id);
        const { deploy } = commands;
        return [
          {
            label: trans.__('Show Details and Files'),
            execute: () => model.open(id)
          },
          {
            label: trans.__('Compare'),
            enabled: canCompare(count),
            execute: compare
          },
          null,
          ...(deploy
            ? [
                {
                  label: trans.__('Deploy…'),
                  execute: () => deploy(version)
                }
              ]
            : []),
          {
            label: trans.__('Set Alias…'),
            execute: () => commands.setAlias(version)
          },
          {
            label: trans.__('Alias History'),
            execute: () => commands.history(version)
          },
          null,
          {
            label: trans.__('Copy as CSV'),
            execute: () => void copyCsv(model, trans)
          },
          null,
          {
            label: trans.__('Delete…'),
            execute: () => commands.remove(version)
          }
        ];
      }}
      actions={
        <>
          {canCompare(selected) && (
            <ActionButton
              label={trans.__('Compare')}
              caption={trans.__('Show the selected versions side by side')}
              onClick={compare}
            />
          )}
          <ActionButton
            label={trans.__('Copy CSV')}
            caption={trans.__('Copy the shown columns as CSV')}
            onClick={() => void copyCsv(model, trans)}
          />
        </>
      }
      trans={trans}
    >
      {beside && beside !== 'columns' && (
        <Compared
          {...props}
          ids={beside}
          columns={shownValues}
          onClose={() => table.show(null)}
        />
      )}
      {opened && (
        <VersionDrawer
          key={opened}
          {...props}
          id={opened}
          onClose={() => model.open(null)}
        />
      )}
    </QueriedTable>
  );
}

export namespace VersionTable {
  export interface IProps {
    model: RunTableModel;
    service: VersionTableService;
    models: ModelsService;
    rendermime: IRenderMimeRegistry;
    commands: IVersionCommands;
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
    ? trans._n('%2 version', '%2 versions', total, all)
    : trans.__('%1 of %2 versions', matched.toLocaleString(), all);
}
