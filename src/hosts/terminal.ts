import type { MainAreaWidget } from '@jupyterlab/apputils';
import { Notification } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError } from '../core';

import type { ICommandsOptions } from './commands';
import { placeOf } from './place';

/** Open a shell on a host in a terminal of JupyterLab. The shell ends with its tab. */
export async function openTerminal(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { api, trans } = options.core;
  const { commands, serviceManager } = options.app;
  const where = await placeOf(options, args);
  if (!where) {
    return;
  }
  if (!commands.hasCommand('terminal:open')) {
    Notification.error(
      trans.__('Terminals are switched off in this JupyterLab.')
    );
    return;
  }
  const { name } = await made();
  const tab = (await commands.execute('terminal:open', {
    name
  })) as MainAreaWidget | undefined;
  tab?.disposed.connect(() => {
    // The shell may have ended before.
    void serviceManager.terminals.shutdown(name).catch(() => undefined);
  });

  async function made() {
    try {
      return await api.data(
        api.http.POST('/terminal-tabs', { body: { where: where! } })
      );
    } catch (reason) {
      const error = ApiError.from(reason, trans);
      throw error.code === 'server_side_missing'
        ? new ApiError({
            status: error.status,
            code: 'terminals_off',
            message: trans.__(
              'The administrator of this JupyterLab has switched terminals on hosts off.'
            )
          })
        : error;
    }
  }
}
