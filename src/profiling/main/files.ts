import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { Contents } from '@jupyterlab/services';

import type { IGenOpsCore } from '../../core';
import type { ProfilesService } from '../service';
import { FACTORY, openFiles } from '../timeline/files';
import { OpenedFile } from '../timeline/opened-file';

import type { IAround } from './around';
import { CommandIDs } from './command-ids';

/** Files that the server reads as traces of a folder. */
const TRACE = /\.(json|json\.gz|sqlite)$/;

/**
 * Open traces and snapshots from the file browser as profiles, also after a
 * reload.
 */
export function addFiles(options: {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  service: ProfilesService;
  restorer: ILayoutRestorer | null;
  around: () => Promise<IAround>;
}): void {
  const { app, core, restorer, ...shared } = options;
  const tracker = new WidgetTracker<IDocumentWidget>({
    namespace: 'genops-profile-file'
  });
  void restorer?.restore(tracker, {
    command: 'docmanager:open',
    name: ({ context }) => context.path,
    args: ({ context }) => ({ path: context.path, factory: FACTORY })
  });
  const factory = openFiles(
    app,
    core.trans,
    context =>
      new OpenedFile({
        ...shared,
        core,
        ready: context.ready.then(() => context.localPath),
        beside: () => countTraces(app, PathExt.dirname(context.path)),
        onFolder: () =>
          void app.commands.execute(CommandIDs.openProfile, {
            path: PathExt.dirname(context.localPath) || '.'
          })
      })
  );
  factory.widgetCreated.connect((_, widget) => {
    void tracker.add(widget);
  });
}

async function countTraces(
  { serviceManager: { contents } }: JupyterFrontEnd,
  folder: string
): Promise<number> {
  const { content } = await contents.get(folder, { content: true });
  return (content as readonly Contents.IModel[]).filter(
    ({ type, name }) => type !== 'directory' && TRACE.test(name)
  ).length;
}
