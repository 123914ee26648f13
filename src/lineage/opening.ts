/** Opens pages of lineage; loaded with the first. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';

import type { IGenOpsCore } from '../core';
import { PagedResource, Resource, titled } from '../core';
import type { Pages } from '../core/pages';
import { ResourcePage } from '../core/ui/page';

import { lineageIcon } from './icon';
import type { ILineage, ILineageNode } from './layout';
import { nameOf } from './messages';
import { LineageView } from './view/lineage';

/** Runs of a page of the list below the picture. */
const RUNS = 50;
const COMMAND = 'genops:open-lineage';

/** Open the lineage of an object, such as `model:digits@3`; ask for its name if it is empty. */
export async function openLineage(
  app: JupyterFrontEnd,
  pages: Pages<Widget>,
  core: IGenOpsCore,
  given: string
): Promise<void> {
  const of = given || (await askName(core));
  if (!of) {
    return;
  }
  const make = () => Promise.resolve(page(app, core, of));
  await pages.open(`genops-lineage-${of}`, make, { of });
}

async function askName({ trans }: IGenOpsCore): Promise<string> {
  const { button, value } = await titled(trans.__('Show lineage'), title =>
    InputDialog.getText({
      title,
      label: trans.__(
        'Name an object: data:NAME@DIGEST, commit:SHA, run:ID, model:NAME@VERSION, base:SOURCE or deployment:NAME'
      ),
      okLabel: trans.__('Show')
    })
  );
  return (button.accept && value?.trim()) || '';
}

function page(
  app: JupyterFrontEnd,
  core: IGenOpsCore,
  of: string
): ResourcePage<ILineage> {
  const { api, events, trans } = core;
  const resource = new Resource<ILineage>({
    fetch: signal =>
      api.data(api.http.GET('/lineage', { params: { query: { of } }, signal })),
    events,
    kinds: ['model', 'deployment'],
    trans
  });
  const titleOf = ({ nodes, root }: ILineage) =>
    trans.__(
      'Lineage of %1',
      nameOf(
        nodes.find(({ id }) => id === root)!,
        trans
      )
    );
  const open = (node: ILineageNode) => {
    const [command, args] = target(node);
    void app.commands.execute(command, args);
  };
  const runs = () =>
    new PagedResource<ILineageNode>({
      fetch: (query, signal) =>
        api.data(
          api.http.GET('/lineage/runs', {
            params: { query: { of, limit: RUNS, ...query } },
            signal
          })
        ),
      key: ({ id }) => id,
      trans
    });
  const recentre = ({ id }: ILineageNode) =>
    void app.commands.execute(COMMAND, { of: id });
  return new ResourcePage(resource, {
    title: trans.__('Lineage'),
    icon: lineageIcon,
    titleOf,
    render: () =>
      LineageView({ resource, titleOf, open, recentre, runs, trans })
  });
}

/** The command that opens an object, with its arguments. What this Lab does not have opens as its lineage. */
export function target(node: ILineageNode): [string, Record<string, string>] {
  switch (node.deleted || node.owner ? '' : node.kind) {
    case 'run':
      return ['genops:open-runs', { run_id: node.run_id }];
    case 'version':
      return ['genops:open-panel', { section: 'models' }];
    case 'deployment':
      return ['genops:open-panel', { section: 'deployments' }];
    default:
      return [COMMAND, { of: node.id }];
  }
}
