import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Panel } from '@lumino/widgets';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { ApiError } from '../errors';

import { DownState, Loading } from './states';

/** What is drawn, or loads first. */
export type Drawn = React.ReactElement | Widget;

/**
 * Add what `draw` returns to a panel, at once or when its code is there.
 *
 * Until then the panel shows that something loads; where that fails it says why, and tries again when asked.
 */
export function addDrawn(
  panel: Panel,
  draw: () => Drawn | Promise<Drawn>,
  trans: TranslationBundle
): void {
  const place = panel.widgets.length;
  let shown: Widget | null = null;
  const show = (content: Drawn) => {
    const old = shown;
    const at = old ? panel.widgets.indexOf(old) : place;
    shown = content instanceof Widget ? content : ReactWidget.create(content);
    panel.insertWidget(at, shown);
    old?.dispose();
  };
  const attempt = () => {
    const drawn = draw();
    if (!(drawn instanceof Promise)) {
      show(drawn);
      return;
    }
    show(<Loading trans={trans} />);
    drawn.then(
      content => panel.isDisposed || show(content),
      (reason: unknown) => {
        if (panel.isDisposed) {
          return;
        }
        console.error('GenOps Lab: a view cannot be loaded', reason);
        show(
          <DownState
            what={trans.__('This view cannot be loaded.')}
            error={ApiError.from(reason, trans)}
            action={trans.__('Try again')}
            onRetry={attempt}
            trans={trans}
          />
        );
      }
    );
  };
  attempt();
}
