import type { TranslationBundle } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';

import type { GenOpsEvents } from './events';
import type { LiveChannel } from './live';
import type { GenOpsApi } from './request';

/** The gettext domain of every string of this extension. */
export const DOMAIN = 'genops_lab';

/** The shared client, event stream, live socket and translation of all features. */
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
