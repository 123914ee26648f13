/** Asks which target or kernel is meant, and what cannot be undone. */
import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError, choose, confirm } from '../core';

import type { TargetsModel } from './model';
import type { IRemoteKernel, ITarget, ITargetHost } from './service';
import { describeLink, kernelWords, leftOverWords } from './messages';

/** The target that is named, or that the person chooses among those that fit. */
export async function chooseTarget(
  model: TargetsModel,
  name: unknown,
  fits: (target: ITarget) => boolean,
  trans: TranslationBundle
): Promise<ITarget | undefined> {
  const all = await model.service.list();
  if (typeof name === 'string' && name) {
    const found = all.find(each => each.name === name);
    if (!found) {
      Notification.error(trans.__('There is no target “%1”.', name));
    }
    return found;
  }
  const now = Date.now() / 1000;
  return choose({
    items: all.filter(fits),
    label: each => `${each.name} (${describeLink(each, now, trans).label})`,
    title: trans.__('Which target?'),
    none: trans.__('There is no target for that.'),
    trans
  });
}

/** The host of a target that the person chooses among those that no kernel needs. */
export async function chooseLeftOver(
  target: ITarget,
  trans: TranslationBundle
): Promise<ITargetHost | undefined> {
  const now = Date.now() / 1000;
  return choose({
    items: target.hosts.filter(({ left_over }) => left_over),
    label: each => `${each.host_id} (${leftOverWords(each, now, trans)})`,
    title: trans.__('Which host?'),
    none: trans.__('No host of %1 is left over.', target.name),
    trans
  });
}

/** The kernel that is named, or that the person chooses on a target. */
export async function chooseKernel(
  model: TargetsModel,
  args: ReadonlyPartialJSONObject,
  fits: (kernel: IRemoteKernel) => boolean,
  trans: TranslationBundle
): Promise<{ target: ITarget; kernel: IRemoteKernel } | undefined> {
  const there = ({ state }: ITarget) => state === 'up';
  const target = await chooseTarget(model, args.target, there, trans);
  if (!target) {
    return undefined;
  }
  const { kernels, connected, message } = await model.service.kernels(
    target.name
  );
  if (!connected) {
    Notification.error(message);
    return undefined;
  }
  if (typeof args.kernel === 'string' && args.kernel) {
    const kernel = kernels.find(({ kernel_id }) => kernel_id === args.kernel);
    if (!kernel) {
      Notification.error(
        trans.__('%1 has no kernel %2.', target.name, args.kernel)
      );
      return undefined;
    }
    return { target, kernel };
  }
  const kernel = await choose({
    items: kernels.filter(fits),
    label: each => `${kernelTitle(each)} (${kernelWords(each, trans).label})`,
    title: trans.__('Which kernel?'),
    none: trans.__('There is no kernel for that on %1.', target.name),
    trans
  });
  return kernel && { target, kernel };
}

/** What a kernel on a target is called. */
export function kernelTitle(kernel: IRemoteKernel): string {
  return kernel.notebook
    ? PathExt.basename(kernel.notebook)
    : kernel.name || kernel.kernel_id.slice(0, 8);
}

/** Whether a kernel may be attached; asks where that takes it from another Lab. */
export async function mayAttach(
  kernel: IRemoteKernel,
  trans: TranslationBundle
): Promise<boolean> {
  if (!kernel.attached) {
    return true;
  }
  return confirm({
    title: trans.__('Take over the kernel “%1”?', kernelTitle(kernel)),
    body: trans.__(
      'It is attached to %1. That Lab sees that it was taken over, and may take it back. The kernel and its outputs go on.',
      kernel.attached.label || trans.__('another Lab')
    ),
    action: trans.__('Take over'),
    danger: true,
    trans
  });
}

/** Ask, then forget a target. Resolves to whether it was removed. */
export async function removeTarget(
  model: TargetsModel,
  { name }: ITarget,
  trans: TranslationBundle
): Promise<boolean> {
  const agreed = await confirm({
    title: trans.__('Remove the target “%1”?', name),
    body: trans.__(
      'Its kernel leaves the launcher. Nothing is changed on the host, and kernels there go on.'
    ),
    action: trans.__('Remove'),
    danger: true,
    trans
  });
  if (!agreed) {
    return false;
  }
  try {
    await model.service.remove(name);
  } catch (reason) {
    const error = ApiError.from(reason, trans);
    if (error.code !== 'kernels_running') {
      throw reason;
    }
    const anyway = await confirm({
      title: trans.__('Kernels of this Lab run on “%1”', name),
      body: trans.__(
        '%1 They go on there, without this Lab: stop them first if you do not need them.',
        error.message
      ),
      action: trans.__('Remove and leave them'),
      danger: true,
      trans
    });
    if (!anyway) {
      return false;
    }
    await model.service.remove(name, true);
  }
  return true;
}
