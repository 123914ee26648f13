/** Open the forms that deploy; loaded with the first. */
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import * as React from 'react';

import { openForm } from '../core/ui/form-dialog';
import { chooseYamlFile, yamlFile } from '../core/yaml-file';

import { ApplyForm } from './apply-file';
import type { ICommandsOptions } from './commands';
import { DeployForm } from './deploy';
import { ApplyFields } from './view/apply-file';
import { DeployFields } from './view/deploy-form';
import { showNewKeys } from './view/new-keys';

type IOpening = Pick<ICommandsOptions, 'app' | 'model' | 'core' | 'panel'>;

/** Let the person deploy a version. */
export async function openDeploy(
  { model, core, panel }: IOpening,
  start: { model?: string; version?: string; name?: string }
): Promise<void> {
  const { trans, events } = core;
  const form = new DeployForm(model.service, start, trans, events);
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
}

/** Show what a deployment file would change, and let the person apply it. Without a path the person chooses the file. */
export async function openApply(
  { app, model, core, panel }: IOpening,
  files: IFileBrowserFactory,
  path: string
): Promise<void> {
  const { trans, events } = core;
  const chosen =
    path || (await chooseYamlFile(files, trans.__('Choose a deployment file')));
  if (!chosen) {
    return;
  }
  const file = yamlFile(app.serviceManager.contents, chosen);
  const form = new ApplyForm(model.service, file, trans, events);
  void form.load();
  const applied = await openForm({
    title: trans.__('Apply a deployment file'),
    form,
    render: () => <ApplyFields form={form} trans={trans} />,
    action: trans.__('Apply'),
    focus: '.gol-Form button',
    trans
  });
  if (applied) {
    panel.open('deployments');
    await model.list.refresh();
    if (applied.keys.length > 0) {
      await showNewKeys(applied.keys, trans);
    }
  }
}
