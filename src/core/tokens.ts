import type { TranslationBundle } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';

import type { GenOpsEvents } from './events';
import type { LiveChannel } from './live';
import type { GenOpsApi } from './request';

/** The gettext domain of every string of this extension. */
export const DOMAIN = 'genops_lab';

/** What every room needs: one client, one stream of events, one live socket, one translation. */
export interface IGenOpsCore {
  readonly api: GenOpsApi;
  readonly events: GenOpsEvents;
  readonly live: LiveChannel;
  readonly trans: TranslationBundle;
}

export const IGenOpsCore = new Token<IGenOpsCore>(
  'genops-lab:IGenOpsCore',
  'The client, events, live channel and translation of GenOps Lab.'
);
