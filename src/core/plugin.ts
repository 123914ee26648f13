import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { closeWhenBack } from './connection-dialog';
import { GenOpsEvents } from './events';
import { LiveChannel } from './live';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- all that asks the server uses the client
import { GenOpsApi } from './request';
import { DOMAIN, IGenOpsCore } from './tokens';

/** The client, events and live channel that the features share. */
export const corePlugin: JupyterFrontEndPlugin<IGenOpsCore> = {
  id: 'genops-lab:core',
  description: 'The client, events and live channel of GenOps Lab.',
  autoStart: true,
  provides: IGenOpsCore,
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null
  ): IGenOpsCore => {
    const { serviceManager } = app;
    const { serverSettings } = serviceManager;
    const words = translator ?? nullTranslator;
    const trans = words.load(DOMAIN);
    const api = new GenOpsApi({ serverSettings, trans });
    const live = new LiveChannel({ serverSettings });
    const events = new GenOpsEvents({
      stream: serviceManager.events.stream,
      interruptions: [
        live.lost,
        live.reconnected,
        serviceManager.connectionFailure
      ]
    });
    closeWhenBack(words, serverSettings, () => events.refresh());
    return { api, events, live, trans };
  }
};
