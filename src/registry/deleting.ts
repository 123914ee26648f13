import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { choose, textOf } from '../core';
import { confirm } from '../core/ui/confirm';

import type { ModelsModel } from './model';

/** Delete the model, or its version, that the arguments name, after a question. */
export async function deleteModel(
  model: ModelsModel,
  args: ReadonlyPartialJSONObject,
  trans: TranslationBundle
): Promise<void> {
  const version = textOf(args.version);
  const name =
    textOf(args.model) ||
    (
      await choose({
        items: await model.service.list(),
        label: each => each.name,
        title: trans.__('Which model do you want to delete?'),
        none: trans.__('There are no registered models yet.'),
        trans
      })
    )?.name;
  if (
    name &&
    (await confirm({
      title: version
        ? trans.__('Delete version %1 of “%2”?', version, name)
        : trans.__('Delete the model “%1” with all its versions?', name),
      body: trans.__(
        'This cannot be undone. The runs that logged the model stay, with their files.'
      ),
      action: trans.__('Delete'),
      danger: true,
      trans
    }))
  ) {
    const { api } = model.service;
    await (version
      ? api.data(
          api.http.DELETE('/models/{name}/versions/{version}', {
            params: { path: { name, version } }
          })
        )
      : api.data(
          api.http.DELETE('/models/{name}', { params: { path: { name } } })
        ));
    await model.list.refresh();
  }
}
