import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  DataTable,
  Resource,
  ResourceView,
  formatBytes,
  formatMoment
} from '../../../core';
import { columnLabel } from '../../../experiments/table/column-messages';
import { Drawer } from '../../../experiments/table/view/drawer';
import { figure } from '../../../experiments/table/view/cells';
import { describeParameters } from '../../facts';
import type { IModelFacts, ModelsService } from '../../service';
import type { IVersionCommands } from '../actions';
import type { IVersionRow, VersionTableService } from '../service';
import { versionOf } from '../service';
import { gatesWord, readiness } from '../subject';

import { LINES } from './version-drawer';

const ATTRIBUTES = [
  'aliases',
  'gates',
  'deployed',
  'status',
  'created',
  ...LINES
];

interface ICompared {
  readonly id: string;
  readonly row: IVersionRow | null;
  /** Null: the files cannot be read. */
  readonly facts: IModelFacts | null;
}

/** Aliases, facts and shown metrics of some versions side by side; their runs one click further. */
export function Compared(props: Compared.IProps): React.ReactElement {
  const { ids, columns, service, models, trans } = props;
  const resource = React.useMemo(
    () =>
      new Resource<ICompared[]>({
        fetch: signal =>
          Promise.all(
            ids.map(async id => {
              const { model, version } = versionOf(id);
              const names = [...new Set(['run_id', ...ATTRIBUTES, ...columns])];
              const [row, facts] = await Promise.all([
                service.one({ model, version }, names, signal),
                // The rest of the comparison does not need the files.
                models.facts(model, version, signal).catch(() => null)
              ]);
              return { id, row, facts };
            })
          ),
        trans
      }),
    [ids, columns, service, models, trans]
  );
  React.useEffect(() => {
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  return (
    <Drawer
      title={trans._n('%1 version', '%1 versions', ids.length)}
      onClose={props.onClose}
      trans={trans}
    >
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The versions cannot be read.')}
        empty={<></>}
      >
        {found => <SideBySide {...props} found={found} />}
      </ResourceView>
    </Drawer>
  );
}

export namespace Compared {
  export interface IProps {
    ids: readonly string[];
    /** The metrics and parameters that the table shows. */
    columns: readonly string[];
    service: VersionTableService;
    models: ModelsService;
    commands: IVersionCommands;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

function SideBySide(
  props: Compared.IProps & { found: readonly ICompared[] }
): React.ReactElement {
  const { found, trans } = props;
  const runs = [
    ...new Set(found.flatMap(({ row }) => String(row?.get('run_id') ?? '')))
  ].filter(Boolean);
  const lines = [
    ...ATTRIBUTES,
    ...props.columns.filter(name => /^(metrics|params)\./.test(name))
  ].map(name => ({
    name: columnLabel(name, trans),
    texts: found.map(({ row }) => textOf(name, row, trans))
  }));
  const files = [
    {
      name: trans.__('Format'),
      texts: found.map(({ facts }) => facts?.formats?.join(', ') ?? '')
    },
    {
      name: trans.__('Size'),
      texts: found.map(({ facts }) =>
        facts?.size_bytes ? formatBytes(facts.size_bytes) : ''
      )
    },
    {
      name: trans.__('Parameters'),
      texts: found.map(({ facts }) =>
        facts ? describeParameters(facts, trans) : ''
      )
    }
  ];
  const shown = [...lines, ...files].filter(({ texts }) => texts.some(Boolean));
  return (
    <div className="gol-Versions-detail">
      <div className="gol-Versions-actions">
        <ActionButton
          label={trans.__('Compare runs')}
          caption={
            runs.length < 2
              ? trans.__('Fewer than two of these versions have a run.')
              : trans.__('Metrics, parameters, code and files of the runs')
          }
          disabled={runs.length < 2}
          onClick={() => props.commands.compareRuns(runs)}
        />
      </div>
      <DataTable
        caption={trans.__('The versions side by side')}
        region="gol-Versions-compared"
        rows={shown}
        rowKey={({ name }) => name}
        rowClass={({ texts }) =>
          new Set(texts).size > 1 ? 'gol-mod-differs' : undefined
        }
        columns={[
          {
            id: 'name',
            title: trans.__('Fact'),
            cell: ({ name }) => name,
            isHead: true
          },
          ...found.map(({ id }, at) => {
            const { model, version } = versionOf(id);
            return {
              id,
              title: trans.__('%1 version %2', model, version),
              cell: ({ texts }: (typeof shown)[number]) => texts[at] || '–',
              tip: ({ texts }: (typeof shown)[number]) => texts[at]
            };
          })
        ]}
      />
    </div>
  );
}

function textOf(
  name: string,
  row: IVersionRow | null,
  trans: TranslationBundle
): string {
  const value = row?.get(name);
  if (value === null || value === undefined) {
    return '';
  }
  if (typeof value === 'number') {
    return name === 'created' ? formatMoment(value) : figure(value);
  }
  return name === 'gates'
    ? gatesWord(value, trans).label
    : name === 'status'
      ? readiness(value, trans).label
      : value;
}
