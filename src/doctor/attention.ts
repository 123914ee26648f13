import type { TranslationBundle } from '@jupyterlab/translation';

import type { IAttention, IGenOpsPanel } from '../panel/tokens';

import type { DoctorModel } from './model';

/** Say in the strip of the panel that the Jupyter server is away, and what it wants to be known. */
export function attendServer(options: {
  panel: Pick<IGenOpsPanel, 'attend'>;
  model: DoctorModel;
  trans: TranslationBundle;
}): void {
  const { panel, model, trans } = options;
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
  model.status.changed.connect(tell);
  model.noticesChanged.connect(tell);
  tell();
}
