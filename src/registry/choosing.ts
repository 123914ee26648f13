import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { choose, textOf } from '../core';

import type { ModelsModel } from './model';
import type { IModelVersion, IRegisteredModel } from './service';

/** Return the version that the arguments name, or ask for one. */
export async function chooseVersion(
  model: ModelsModel,
  args: ReadonlyPartialJSONObject,
  trans: TranslationBundle
): Promise<Pick<IModelVersion, 'name' | 'version'> | undefined> {
  const [name, version] = [textOf(args.model), textOf(args.version)];
  if (name && version) {
    return { name, version };
  }
  const all = (await model.service.list())
    .filter(registered => !name || registered.name === name)
    .flatMap(({ versions }) => versions);
  return choose({
    items: all,
    label: item => trans.__('%1 version %2', item.name, item.version),
    title: trans.__('Which version?'),
    none: trans.__('There are no registered models yet.'),
    trans
  });
}

/** Return the alias that the arguments name, or ask for one. */
export async function chooseAlias(
  model: ModelsModel,
  args: ReadonlyPartialJSONObject,
  trans: TranslationBundle
): Promise<{ name: string; alias: string } | undefined> {
  const [name, alias] = [textOf(args.model), textOf(args.alias)];
  if (name && alias) {
    return { name, alias };
  }
  const all = (await model.service.list())
    .filter(registered => !name || registered.name === name)
    .flatMap(aliasesOf);
  return choose({
    items: all,
    label: item => trans.__('%1 of %2', item.alias, item.name),
    title: trans.__('Which alias do you want to remove?'),
    none: trans.__('No model version has an alias.'),
    trans
  });
}

/** Return the name of the model that the arguments name, or ask for one. */
export async function chooseModel(
  model: ModelsModel,
  args: ReadonlyPartialJSONObject,
  trans: TranslationBundle
): Promise<string | undefined> {
  const name = textOf(args.model);
  if (name) {
    return name;
  }
  return choose({
    items: (await model.service.list()).map(each => each.name),
    label: each => each,
    title: trans.__('Which model?'),
    none: trans.__('There are no registered models yet.'),
    trans
  });
}

function aliasesOf(model: IRegisteredModel): { name: string; alias: string }[] {
  return model.versions.flatMap(version =>
    version.aliases.map(alias => ({ name: model.name, alias }))
  );
}
