import { ReactWidget } from '@jupyterlab/ui-components';
import type { Widget } from '@lumino/widgets';
import { Panel } from '@lumino/widgets';
import type { ReactElement } from 'react';

import type { ISection } from '../panel';

/** The parts of the section, one below the other. */
export class ComputeParts {
  /** Add a part, also when the section is already open. */
  add(draw: (section: ISection) => ReactElement): void {
    this._draws.push(draw);
    if (this._section) {
      this._panel.addWidget(ReactWidget.create(draw(this._section)));
    }
  }

  /** The content of the section, which opens for the first time. */
  open(section: ISection, first: Widget): Widget {
    this._section = section;
    this._panel.addWidget(first);
    for (const draw of this._draws) {
      this._panel.addWidget(ReactWidget.create(draw(section)));
    }
    return this._panel;
  }

  private _panel = new Panel();
  private _draws: ((section: ISection) => ReactElement)[] = [];
  private _section: ISection | null = null;
}
