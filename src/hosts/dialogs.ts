/**
 * Dialogs that ask for a target or a kernel, and confirm what cannot be undone.
 */
import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError, choose, confirm } from '../core';

import type { TargetsModel } from './model';
import type { IRemoteKernel, ITarget, ITargetHost } from './service';
import { describeLink, kernelWords, leftOverWords } from './messages';

/** The named target, or the one that the user chooses among those that fit. */
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
    none: trans.__('No target fits this command.'),
    trans
  });
}

/**
 * The host of a target that the user chooses among those that no kernel needs.
 */
export async function chooseLeftOver(
  target: ITarget,
  trans: TranslationBundle
): Promise<ITargetHost | undefined> {
  const now = Date.now() / 1000;
  return choose({
    items: target.hosts.filter(({ left_over }) => left_over),
    label: each => `${each.host_id} (${leftOverWords(each, now, trans)})`,
    title: trans.__('Which host?'),
    none: trans.__('%1 has no unused host.', target.name),
    trans
  });
}

/** The named kernel, or the one that the user chooses on a target. */
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
    none: trans.__('%1 has no kernel that fits this command.', target.name),
    trans
  });
  return kernel && { target, kernel };
}

/** The title of a kernel on a target. */
export function kernelTitle(kernel: IRemoteKernel): string {
  return kernel.notebook
    ? PathExt.basename(kernel.notebook)
    : kernel.name || kernel.kernel_id.slice(0, 8);
}

/**
 * Whether a kernel may be attached; asks where this takes it from another Lab.
 */
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
      'It is attached to %1. That Lab is notified, and may take the kernel back. The kernel keeps running and keeps its outputs.',
      kernel.attached.label || trans.__('another Lab')
    ),
    action: trans.__('Take over'),
    danger: true,
    trans
  });
}

/** Confirm, then delete a target. Resolves to whether it was deleted. */
export async function removeTarget(
  model: TargetsModel,
  { name }: ITarget,
  trans: TranslationBundle
): Promise<boolean> {
  const agreed = await confirm({
    title: trans.__('Delete the target “%1”?', name),
    body: trans.__(
      'The launcher no longer shows its kernel. Nothing changes on the host, and kernels on it keep running.'
    ),
    action: trans.__('Delete'),
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
        '%1 They keep running on the host, without this Lab. Stop them first if you do not need them.',
        error.message
      ),
      action: trans.__('Delete target only'),
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
