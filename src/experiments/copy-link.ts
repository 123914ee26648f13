import {
  Clipboard,
  Dialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IShownLink } from './links';
import { shownLinks } from './links';
import type { IRunLinks } from './service';

/** Copy the best link of a run, and say who can open it. */
export function copyLink(
  links: IRunLinks,
  baseUrl: string,
  trans: TranslationBundle
): void {
  const [best, ...others] = shownLinks(links, {
    baseUrl,
    shareUrl: shareUrl()
  });
  Clipboard.copyToSystem(best.url);
  const actions = others.map(other => ({
    label: copyLabel(other, trans),
    callback: () => Clipboard.copyToSystem(other.url)
  }));
  if (links.shared) {
    Notification.success(`${trans.__('Link copied.')} ${reach(best, trans)}`, {
      autoClose: 8000,
      actions
    });
  } else {
    // A notification has room for a short text only.
    const why = {
      label: trans.__('Why?'),
      callback: () =>
        void showDialog({
          title: trans.__('Only you can open this link'),
          body: `${links.why} ${links.hint}`.trim(),
          buttons: [Dialog.okButton()]
        })
    };
    Notification.warning(trans.__('Link copied. Only you can open it.'), {
      autoClose: false,
      actions: [why, ...actions]
    });
  }
}

/**
 * Return the address with which JupyterHub sends each user to their own server;
 * empty without a hub.
 */
function shareUrl(): string {
  const path = PageConfig.getOption('shareUrl');
  const host = PageConfig.getOption('hubHost') || window.location.origin;
  return path && new URL(path, host).href;
}

function reach({ kind }: IShownLink, trans: TranslationBundle): string {
  switch (kind) {
    case 'hub':
      return trans.__(
        'It opens in the JupyterLab of the person who follows it.'
      );
    case 'mlflow':
      return trans.__('It opens the run’s page in MLflow.');
    case 'lab':
      return trans.__('It opens in this JupyterLab.');
  }
}

function copyLabel({ kind }: IShownLink, trans: TranslationBundle): string {
  switch (kind) {
    case 'hub':
      return trans.__('Copy for JupyterHub');
    case 'mlflow':
      return trans.__('Copy MLflow’s Address');
    case 'lab':
      return trans.__('Copy for This Lab');
  }
}
