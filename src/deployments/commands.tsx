import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon, refreshIcon, stopIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { DisposableSet } from '@lumino/disposable';
import * as React from 'react';

import { ApiError, confirm, deploymentIcon, openForm } from '../core';
import type { IGenOpsPanel } from '../panel';

import { DeployForm } from './deploy';
import type { DeploymentsModel } from './model';
import { isActive } from './model';
import type { IDeployment } from './service';
import { DeployFields } from './view/deploy-form';

export namespace CommandIDs {
  export const deploy = 'genops:deploy-model';
  export const stop = 'genops:stop-deployment';
  export const renew = 'genops:renew-deployment';
  export const remove = 'genops:delete-deployment';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  model: DeploymentsModel;
  panel: IGenOpsPanel;
  trans: TranslationBundle;
  palette: ICommandPalette | null;
}

/** Add the commands of the deployments room. @returns what takes them away. */
export function addCommands(options: ICommandsOptions): IDisposable {
  const { app, model, panel, trans, palette } = options;
  const { commands } = app;
  const { service } = model;
  const added = new DisposableSet();
  const text = (description: string) => ({ type: 'string', description });
  const named = {
    args: {
      type: 'object',
      properties: { name: text(trans.__('The deployment; asked when missing')) }
    }
  };

  const reported =
    (work: (args: ReadonlyPartialJSONObject) => Promise<unknown>) =>
    async (args: ReadonlyPartialJSONObject) => {
      try {
        await work(args);
      } catch (reason) {
        const error = ApiError.from(reason, trans);
        Notification.error(`${error.message} ${error.hint}`.trim());
      }
    };

  added.add(
    commands.addCommand(CommandIDs.deploy, {
      label: trans.__('Deploy a Model…'),
      caption: trans.__('Make a version of a model answer requests'),
      icon: deploymentIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            model: text(trans.__('The model that is chosen at first')),
            version: text(trans.__('Its version; the newest when missing')),
            name: text(trans.__('The name that is proposed'))
          }
        }
      },
      execute: reported(async args => {
        const form = new DeployForm(
          service,
          {
            model: string(args.model),
            version: string(args.version),
            name: string(args.name)
          },
          trans
        );
        void form.load();
        const deployment = await openForm({
          title: trans.__('Deploy a model'),
          form,
          render: () => <DeployFields form={form} trans={trans} />,
          action: trans.__('Deploy'),
          trans
        });
        if (deployment) {
          panel.open('deployments');
          await model.list.refresh();
        }
      })
    })
  );

  added.add(
    commands.addCommand(CommandIDs.stop, {
      label: trans.__('Stop a Deployment…'),
      caption: trans.__('Stop it after the requests in flight'),
      icon: stopIcon,
      describedBy: named,
      execute: reported(async args => {
        const name = await choose(model, args, isActive, trans);
        if (name) {
          await service.stop(name);
          await model.list.refresh();
        }
      })
    })
  );

  added.add(
    commands.addCommand(CommandIDs.renew, {
      label: trans.__('Renew the Lease of a Deployment…'),
      caption: trans.__('Keep it running for another lease'),
      icon: refreshIcon,
      describedBy: named,
      execute: reported(async args => {
        const running = ({ state }: IDeployment) => state === 'running';
        const name = await choose(model, args, running, trans);
        if (name) {
          await service.renew(name);
          await model.list.refresh();
        }
      })
    })
  );

  added.add(
    commands.addCommand(CommandIDs.remove, {
      label: trans.__('Delete an Ended Deployment…'),
      caption: trans.__('Forget a deployment that has ended, and its log'),
      icon: deleteIcon,
      describedBy: named,
      execute: reported(async args => {
        const ended = (each: IDeployment) => !isActive(each);
        const name = await choose(model, args, ended, trans);
        if (
          name &&
          (await confirm({
            title: trans.__('Delete the deployment “%1”?', name),
            body: trans.__(
              'Its log is deleted as well. This cannot be undone. The model stays registered.'
            ),
            action: trans.__('Delete'),
            danger: true,
            trans
          }))
        ) {
          await service.delete(name);
          await model.list.refresh();
        }
      })
    })
  );

  for (const command of Object.values(CommandIDs)) {
    const item = palette?.addItem({
      command,
      category: trans.__('GenOps Lab')
    });
    if (item) {
      added.add(item);
    }
  }
  return added;
}

async function choose(
  model: DeploymentsModel,
  args: ReadonlyPartialJSONObject,
  fits: (deployment: IDeployment) => boolean,
  trans: TranslationBundle
): Promise<string | undefined> {
  const name = string(args.name);
  if (name) {
    return name;
  }
  const fitting = (await model.service.list()).filter(fits);
  if (fitting.length === 0) {
    Notification.info(trans.__('There is no deployment for that.'));
    return undefined;
  }
  const labels = fitting.map(
    each => `${each.name} (${each.model} v${each.version})`
  );
  const { button, value } = await InputDialog.getItem({
    title: trans.__('Which deployment?'),
    items: labels,
    okLabel: trans.__('Choose')
  });
  return button.accept && value !== null
    ? fitting[labels.indexOf(value)].name
    : undefined;
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
