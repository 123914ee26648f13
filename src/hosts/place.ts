import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { textOf } from '../core';

import type { ICommandsOptions } from './commands';
import { chooseKernel, chooseTarget } from './dialogs';
import type { IRemoteKernel, ITarget } from './service';

/**
 * What names one host for the server: a kernel's id, or a target whose one host
 * always exists. The user chooses what the arguments leave open.
 */
export async function placeOf(
  { core, model }: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<string | undefined> {
  const kernel = textOf(args.kernel);
  if (kernel) {
    return kernel;
  }
  const there = ({ state }: ITarget) => state === 'up';
  const { trans } = core;
  const target = await chooseTarget(model, args.target, there, trans);
  if (!target?.allocates) {
    return target?.name;
  }
  const found = await chooseKernel(
    model,
    { target: target.name },
    ({ state }: IRemoteKernel) => state === 'running',
    trans
  );
  return found?.kernel.kernel_id;
}
