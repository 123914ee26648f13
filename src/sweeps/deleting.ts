import type { TranslationBundle } from '@jupyterlab/translation';

import type { GenOpsApi } from '../core';
import { tellFailure } from '../core/commands';
import { confirm } from '../core/ui/confirm';

import type { ISweep } from './service';

/** Delete a sweep after a question; a failure becomes a notification. */
export async function deleteSweep(
  api: GenOpsApi,
  { id, name }: ISweep,
  trans: TranslationBundle
): Promise<void> {
  const agreed = await confirm({
    title: trans.__('Delete the sweep “%1”?', name),
    body: trans.__('This cannot be undone. The runs of its trials stay.'),
    action: trans.__('Delete'),
    danger: true,
    trans
  });
  if (agreed) {
    const params = { path: { sweep_id: id } };
    await api
      .data(api.http.DELETE('/sweeps/{sweep_id}', { params }))
      .catch((reason: unknown) => tellFailure(reason, trans));
  }
}
