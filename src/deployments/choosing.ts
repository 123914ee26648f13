import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { choose, confirm, textOf } from '../core';

import type { DeploymentsModel } from './model';
import type { IDeployment } from './service';

/** Return the deployment that a command's arguments name; a dialog asks where they name none. */
export async function chooseName(
  model: DeploymentsModel,
  args: ReadonlyPartialJSONObject,
  fits: (deployment: IDeployment) => boolean,
  trans: TranslationBundle
): Promise<string | undefined> {
  const name = textOf(args.name);
  if (name) {
    return name;
  }
  const found = await choose({
    items: (await model.service.list()).filter(fits),
    label: each => `${each.name} (${each.model} v${each.version})`,
    title: trans.__('Which deployment?'),
    none: trans.__('No deployment can be chosen for this command.'),
    trans
  });
  return found?.name;
}

/** Ask before a deployment is deleted. */
export function confirmDelete(
  name: string,
  trans: TranslationBundle
): Promise<boolean> {
  return confirm({
    title: trans.__('Delete the deployment “%1”?', name),
    body: trans.__(
      'This also deletes the log of the deployment and cannot be undone. The model stays registered.'
    ),
    action: trans.__('Delete'),
    danger: true,
    trans
  });
}
