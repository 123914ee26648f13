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

/** Copy the best of a run's addresses, and tell who can open it. */
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
    Notification.success(
      `${trans.__('The link is copied.')} ${reach(best, trans)}`,
      { autoClose: 8000, actions }
    );
  } else {
    // What fits a notification is short.
    const why = {
      label: trans.__('Why?'),
      callback: () =>
        void showDialog({
          title: trans.__('A link for you alone'),
          body: `${links.why} ${links.hint}`.trim(),
          buttons: [Dialog.okButton()]
        })
    };
    Notification.warning(
      trans.__(
        'The link is copied, for you alone: a colleague cannot open it.'
      ),
      { autoClose: false, actions: [why, ...actions] }
    );
  }
}

/** Where JupyterHub sends each user to a server of their own; empty off a hub. */
function shareUrl(): string {
  const path = PageConfig.getOption('shareUrl');
  const host = PageConfig.getOption('hubHost') || window.location.origin;
  return path && new URL(path, host).href;
}

function reach({ kind }: IShownLink, trans: TranslationBundle): string {
  switch (kind) {
    case 'hub':
      return trans.__('It opens in the JupyterLab of whoever follows it.');
    case 'mlflow':
      return trans.__('It is MLflow’s own page of the run.');
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
