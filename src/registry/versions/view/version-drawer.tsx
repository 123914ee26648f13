import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  EmptyState,
  Facts,
  RelativeTime,
  Resource,
  ResourceView,
  StatusBadge
} from '../../../core';
import { columnLabel } from '../../../experiments/table/column-messages';
import type { RunTableModel } from '../../../experiments/table/model';
import { Drawer } from '../../../experiments/table/view/drawer';
import { isOwnTag, ownTags } from '../../describing';
import type { ModelsService } from '../../service';
import { Described } from '../../view/described';
import { VersionFacts } from '../../view/version-facts';
import type { IVersionCommands } from '../actions';
import type { IVersionId, IVersionRow, VersionTableService } from '../service';
import { versionOf } from '../service';
import { Chips, gatesWord, readiness } from '../subject';

/** Attributes with a line of their own, in their order. */
export const LINES = [
  'run',
  'user',
  'source',
  'origin',
  'parent',
  'base_model',
  'stage',
  'description'
];
/** Lines with a place of their own in the details. */
const ELSEWHERE = ['run', 'description'];
const MOST_TAGS = 200;
const READ = [
  'status',
  'aliases',
  'gates',
  'deployed',
  'created',
  'run_id',
  ...LINES
];

/** One version: where it is used, what it was made from, its files, and what can be done with it. */
export function VersionDrawer(props: VersionDrawer.IProps): React.ReactElement {
  const { id, model, service, trans } = props;
  const version = versionOf(id);
  const { windows } = model;
  const resource = React.useMemo(
    () =>
      new Resource<{ row: IVersionRow | null }>({
        fetch: async signal => {
          const { columns } = await service.columns(signal);
          const tags = columns
            .map(({ column }) => column)
            .filter(isOwnTag)
            .slice(0, MOST_TAGS);
          const read = [...READ, ...tags];
          return { row: await service.one(versionOf(id), read, signal) };
        },
        trans
      }),
    [service, id, trans]
  );
  React.useEffect(() => {
    let seen = -1;
    const look = () => {
      const { version: now = 0 } = windows.snapshot.state ?? {};
      if (now !== seen) {
        seen = now;
        void resource.refresh();
      }
    };
    look();
    windows.changed.connect(look);
    return () => {
      windows.changed.disconnect(look);
      resource.dispose();
    };
  }, [resource, windows]);
  return (
    <Drawer
      title={trans.__('%1 version %2', version.model, version.version)}
      onClose={props.onClose}
      trans={trans}
    >
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The version cannot be read.')}
        keepMounted
        empty={<></>}
      >
        {({ row }) =>
          row ? (
            <Detail
              {...props}
              version={version}
              row={row}
              onSaved={() => resource.refresh()}
            />
          ) : (
            <EmptyState
              text={trans.__('This version does not exist any more.')}
            />
          )
        }
      </ResourceView>
    </Drawer>
  );
}

export namespace VersionDrawer {
  export interface IProps {
    id: string;
    model: RunTableModel;
    service: VersionTableService;
    models: ModelsService;
    rendermime: IRenderMimeRegistry;
    commands: IVersionCommands;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

function Detail(
  props: VersionDrawer.IProps & {
    version: IVersionId;
    row: IVersionRow;
    onSaved: () => Promise<unknown>;
  }
): React.ReactElement {
  const { row, version, commands, trans } = props;
  const { deploy } = commands;
  const text = (name: string) => String(row.get(name) ?? '');
  const chips = (name: string) =>
    text(name) && <Chips texts={text(name).split(', ')} />;
  const created = row.get('created');
  const runId = text('run_id');
  return (
    <div className="gol-Versions-detail">
      <div className="gol-Versions-actions">
        {deploy && (
          <ActionButton
            label={trans.__('Deploy…')}
            onClick={() => deploy(version)}
          />
        )}
        <ActionButton
          label={trans.__('Set alias…')}
          onClick={() => commands.setAlias(version)}
        />
        <ActionButton
          label={trans.__('Alias history')}
          onClick={() => commands.history(version)}
        />
        <ActionButton
          label={trans.__('Delete…')}
          onClick={() => commands.remove(version)}
        />
      </div>
      <Described
        described={{
          name: version.model,
          version: version.version,
          description: text('description'),
          tags: ownTags(row)
        }}
        full={trans.__('%1 version %2', version.model, version.version)}
        api={props.models.api}
        rendermime={props.rendermime}
        onSaved={props.onSaved}
        trans={trans}
      />
      <Facts
        facts={[
          [
            columnLabel('status', trans),
            <StatusBadge
              key="status"
              {...readiness(text('status') || 'READY', trans)}
            />
          ],
          [columnLabel('aliases', trans), chips('aliases') || trans.__('none')],
          [
            columnLabel('gates', trans),
            text('gates') ? (
              <StatusBadge key="gates" {...gatesWord(text('gates'), trans)} />
            ) : (
              trans.__('not checked')
            )
          ],
          [
            columnLabel('deployed', trans),
            chips('deployed') || trans.__('not deployed')
          ],
          typeof created === 'number'
            ? [
                columnLabel('created', trans),
                <RelativeTime key="created" seconds={created} trans={trans} />
              ]
            : null,
          runId
            ? [
                columnLabel('run', trans),
                text('run') ? (
                  <button
                    key="run"
                    type="button"
                    className="gol-LinkButton"
                    onClick={() => commands.openRun(runId)}
                  >
                    {text('run')}
                  </button>
                ) : (
                  trans.__('%1 (not in MLflow any more)', runId.slice(0, 8))
                )
              ]
            : null,
          ...LINES.filter(name => !ELSEWHERE.includes(name)).map(name =>
            text(name)
              ? ([columnLabel(name, trans), text(name)] as const)
              : null
          )
        ]}
      />
      <VersionFacts
        version={{ name: version.model, version: version.version }}
        service={props.models}
        trans={trans}
      />
    </div>
  );
}
