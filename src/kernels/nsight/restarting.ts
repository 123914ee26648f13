import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { components } from '../../api/generated';
import { confirm } from '../../core';

import type { INsightOptions } from './commands';
import type { SectionSet } from './set-choice';
import { SetChoice } from './set-choice';

type Product = components['schemas']['NewNsightKernel']['product'];

/** Restart the notebook's kernel with Nsight Systems, after a question. */
export function withSystems(options: INsightOptions): Promise<void> {
  const { trans } = options.core;
  return restart(options, 'systems', async version => {
    const yes = await isSure(
      trans.__('Restart the kernel with Nsight Systems?'),
      trans.__(
        'Nsight Systems %1 records only programs that it has started. The kernel is restarted, and its variables are lost. Nsight Systems then records cells with %2; other cells are not recorded.',
        version,
        '%%profile'
      ),
      trans
    );
    return yes ? 'basic' : undefined;
  });
}

/** Restart the notebook's kernel with Nsight Compute, after a question for the set to measure. */
export function withCompute(options: INsightOptions): Promise<void> {
  const { trans } = options.core;
  return restart(options, 'compute', async version => {
    const body = new SetChoice(version, trans);
    const yes = await isSure(
      trans.__('Restart the kernel with Nsight Compute?'),
      body,
      trans
    );
    return yes ? body.chosen : undefined;
  });
}

/** Restart the notebook's kernel without Nsight's tools, as the kernelspec `name`. */
export async function without(
  { core, notebooks }: INsightOptions,
  name: string | undefined
): Promise<void> {
  const { trans } = core;
  const panel = notebooks.currentWidget;
  if (
    panel &&
    name &&
    (await isSure(
      trans.__('Restart the kernel without Nsight?'),
      trans.__(
        'The kernel is restarted, and its variables are lost. PyTorch’s profiler then records cells with %1 again.',
        '%%profile'
      ),
      trans
    ))
  ) {
    await panel.sessionContext.changeKernel({ name });
  }
}

/** The tool is checked first, so that no user gives up variables in vain. */
async function restart(
  { app, core, notebooks }: INsightOptions,
  product: Product,
  agreed: (version: string) => Promise<SectionSet | undefined>
): Promise<void> {
  const panel = notebooks.currentWidget;
  const kernel_name = panel?.sessionContext.session?.kernel?.name;
  if (!panel || !kernel_name) {
    return;
  }
  const prepared = (section_set: SectionSet) =>
    core.api.data(
      core.api.http.POST('/compute/nsight/kernels', {
        body: { kernel_name, product, section_set }
      })
    );
  const made = await prepared('basic');
  const chosen = await agreed(made.version);
  if (!chosen) {
    return;
  }
  const { name } = chosen === 'basic' ? made : await prepared(chosen);
  await app.serviceManager.kernelspecs.refreshSpecs();
  await panel.sessionContext.changeKernel({ name });
}

function isSure(
  title: string,
  body: Dialog.Body<unknown>,
  trans: TranslationBundle
): Promise<boolean> {
  return confirm({
    title,
    body,
    action: trans.__('Restart'),
    danger: true,
    trans
  });
}
