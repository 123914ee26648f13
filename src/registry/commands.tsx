import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Notification } from '@jupyterlab/apputils';
import type { IStateDB } from '@jupyterlab/statedb';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import {
  addIcon,
  closeIcon,
  deleteIcon,
  historyIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IGenOpsCore } from '../core';
import { definer, modelIcon, textArg, textOf } from '../core';
import { Pages } from '../core/pages';

import { aliasIcon } from './icon';
import type { ModelsModel } from './model';

export namespace CommandIDs {
  export const register = 'genops:register-model';
  export const setAlias = 'genops:set-model-alias';
  export const removeAlias = 'genops:remove-model-alias';
  export const remove = 'genops:delete-model';
  export const openHistory = 'genops:open-alias-history';
  export const openLineage = 'genops:open-lineage';
  export const evaluate = 'genops:evaluate-model';
  export const openVersions = 'genops:open-versions';
  export const openCard = 'genops:open-model-card';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  model: ModelsModel;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
  state: IStateDB | null;
  rendermime: IRenderMimeRegistry;
}

const choosing = () => import('./choosing');

/** Add the commands of registered models. */
export function addCommands(options: ICommandsOptions): void {
  const { app, core, model, palette } = options;
  const { trans } = core;
  const { commands } = app;
  const { service } = model;
  const define = definer(app, palette, trans);
  const { restorer } = options;
  const pagesOf = (namespace: string, command: string) =>
    new Pages(app, { namespace, command, restorer });
  const versions = pagesOf('genops-versions', CommandIDs.openVersions);
  const histories = pagesOf('genops-alias-history', CommandIDs.openHistory);
  const lineages = pagesOf('genops-lineage', CommandIDs.openLineage);
  const cards = pagesOf('genops-model-card', CommandIDs.openCard);

  define(CommandIDs.openVersions, {
    label: trans.__('Open All Model Versions'),
    icon: modelIcon,
    args: {},
    execute: () =>
      versions.open('genops-versions', async () => {
        const { VersionsPage } = await import('./versions/widget');
        return new VersionsPage({ ...options, models: service });
      })
  });

  define(CommandIDs.register, {
    label: trans.__('Register a Model…'),
    caption: trans.__(
      'Register the model of a run, or files, as a new version'
    ),
    icon: addIcon,
    args: {
      run_id: textArg(trans.__('Id of the run that the form selects first')),
      model: textArg(trans.__('Model name that the form proposes'))
    },
    execute: async args => {
      const known = (model.list.value ?? []).map(({ name }) => name);
      const { hasMore } = model.list;
      const [{ RegisterForm }, { RegisterFields }, { openForm }] =
        await Promise.all([
          import('./register'),
          import('./view/register-form'),
          import('../core/ui/form-dialog')
        ]);
      const form = new RegisterForm(
        service,
        {
          runId: textOf(args.run_id),
          name: textOf(args.model),
          known,
          hasMore
        },
        trans
      );
      void form.load();
      const version = await openForm({
        title: trans.__('Register a model'),
        form,
        render: () => <RegisterFields form={form} trans={trans} />,
        action: trans.__('Register'),
        trans
      });
      // Files are copied by a task, which tells its end itself.
      if (version && 'version' in version) {
        // A slow list delays no message.
        void model.list.refresh();
        Notification.success(
          trans.__('Registered %1 version %2.', version.name, version.version),
          {
            autoClose: 5000,
            actions: commands.hasCommand('genops:deploy-model')
              ? [
                  {
                    label: trans.__('Deploy…'),
                    callback: () => {
                      void commands.execute('genops:deploy-model', {
                        model: version.name,
                        version: version.version
                      });
                    }
                  }
                ]
              : []
          }
        );
      }
    }
  });

  define(CommandIDs.setAlias, {
    label: trans.__('Set an Alias of a Model Version…'),
    caption: trans.__('Point an alias such as “champion” at a version'),
    icon: aliasIcon,
    args: {
      model: textArg(
        trans.__('Name of the model; a dialog asks if it is missing')
      ),
      version: textArg(
        trans.__('Version of the model; a dialog asks if it is missing')
      ),
      alias: textArg(trans.__('The alias; a dialog asks if it is missing')),
      reason: textArg(trans.__('Reason for the history; default: none'))
    },
    execute: async args => {
      const version = await (
        await choosing()
      ).chooseVersion(model, args, trans);
      if (!version) {
        return;
      }
      const alias = textOf(args.alias);
      if (alias) {
        await service.setAlias(version.name, alias, {
          version: version.version,
          reason: textOf(args.reason),
          expected: null
        });
      } else {
        const [{ AliasForm }, { AliasFields }, { openForm }] =
          await Promise.all([
            import('./alias'),
            import('./view/alias-form'),
            import('../core/ui/form-dialog')
          ]);
        const form = new AliasForm(
          service,
          version,
          model.list.value?.find(({ name }) => name === version.name),
          trans
        );
        await openForm({
          title: trans.__(
            'Alias of %1 version %2',
            version.name,
            version.version
          ),
          form,
          render: () => <AliasFields form={form} trans={trans} />,
          action: trans.__('Set alias'),
          trans
        });
      }
      await model.list.refresh();
    }
  });

  define(CommandIDs.removeAlias, {
    label: trans.__('Remove an Alias of a Model…'),
    caption: trans.__('Remove an alias from its version'),
    icon: closeIcon,
    args: {
      model: textArg(
        trans.__('Name of the model; a dialog asks if it is missing')
      ),
      alias: textArg(trans.__('The alias; a dialog asks if it is missing')),
      version: textArg(
        trans.__('Version that must have the alias; default: any')
      )
    },
    execute: async args => {
      const chosen = await (await choosing()).chooseAlias(model, args, trans);
      if (chosen) {
        await service.deleteAlias(
          chosen.name,
          chosen.alias,
          textOf(args.version) || undefined
        );
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.remove, {
    label: trans.__('Delete a Model…'),
    caption: trans.__('Delete a model with its versions, or one version'),
    icon: deleteIcon,
    args: {
      model: textArg(
        trans.__('Name of the model; a dialog asks if it is missing')
      ),
      version: textArg(trans.__('Version to delete; empty for all'))
    },
    execute: async args =>
      (await import('./deleting')).deleteModel(model, args, trans)
  });

  define(CommandIDs.openHistory, {
    label: trans.__('Show the Alias History of a Model…'),
    caption: trans.__('Show who moved which alias of a model, when and why'),
    icon: historyIcon,
    args: {
      model: textArg(
        trans.__('Name of the model; a dialog asks if it is missing')
      )
    },
    execute: async args => {
      const name = await (await choosing()).chooseModel(model, args, trans);
      if (name) {
        const { openHistory } = await import('./view/history');
        await openHistory(histories, core, name);
      }
    }
  });

  define(CommandIDs.openLineage, {
    label: trans.__('Show Lineage…'),
    args: { of: textArg(trans.__('An object, such as model:digits@3')) },
    execute: async args =>
      (await import('../lineage/opening')).openLineage(
        app,
        lineages,
        core,
        textOf(args.of)
      )
  });

  define(CommandIDs.evaluate, {
    label: trans.__('Evaluate a Model Version…'),
    args: {},
    execute: async args => {
      const version = await (
        await choosing()
      ).chooseVersion(model, args, trans);
      if (version) {
        await (await import('../evaluations/open')).openEvaluate(core, version);
      }
    }
  });

  define(CommandIDs.openCard, {
    label: trans.__('Show the Card of a Model…'),
    icon: modelIcon,
    args: {
      model: textArg(
        trans.__('Name of the model; a dialog asks if it is missing')
      ),
      version: textArg(
        trans.__('Version of the model; a dialog asks if it is missing')
      )
    },
    execute: async args =>
      (await import('./view/card')).openCard(cards, options, args)
  });
}
