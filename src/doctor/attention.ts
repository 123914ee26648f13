import type { IGenOpsCore } from '../core';
import type { IAttention, IGenOpsPanel } from '../panel/tokens';

import type { DoctorModel } from './model';

/** Say in the strip of the panel that the Jupyter server is away, and what it wants to be known. */
export function attendServer(options: {
  core: Pick<IGenOpsCore, 'api' | 'live' | 'trans'>;
  panel: Pick<IGenOpsPanel, 'attend'>;
  model: DoctorModel;
}): void {
  const { core, panel, model } = options;
  const { api, live, trans } = core;
  let awaySince = 0;
  const since = new Map<string, number>();

  const tell = () => {
    const now = Date.now() / 1000;
    const { status } = model;
    const isAway = status.state === 'down' && status.error?.status === 0;
    awaySince = isAway ? awaySince || now : 0;
    const away: IAttention[] = isAway
      ? [
          {
            id: 'away',
            tone: 'error',
            dims: true,
            text: trans.__(
              'The Jupyter server does not answer. The panel may show old figures.'
            ),
            since: awaySince,
            action: {
              label: trans.__('Retry now'),
              caption: trans.__('Ask the server again'),
              execute: () => void status.refresh()
            }
          }
        ]
      : [];
    const notices = model.notices.map((text): IAttention => {
      since.set(text, since.get(text) ?? now);
      return {
        id: text,
        tone: 'info',
        text,
        since: since.get(text)!,
        dismiss: () => model.dismiss(text)
      };
    });
    panel.attend('server', [...away, ...notices]);
  };
  // What another view notices first is asked here at once, so that the strip says it for all.
  const ask = () => {
    if (model.status.visible && model.status.state !== 'down') {
      void model.status.refresh();
    }
  };
  api.unanswered.connect(ask);
  live.lost.connect(ask);
  model.status.changed.connect(tell);
  model.noticesChanged.connect(tell);
  tell();
}
