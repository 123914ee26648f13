import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';
import { Panel } from '@lumino/widgets';

import type { Drawn } from '../core';
import { addDrawn } from '../core';
import type { ISection } from '../panel';

/** Draws a part of the section, or loads it first. */
export type DrawPart = (section: ISection) => Drawn | Promise<Drawn>;

/** The parts of the section, one below the other. */
export class ComputeParts {
  constructor(private _trans: TranslationBundle) {}

  /** Add a part, also when the section is already open. */
  add(draw: DrawPart): void {
    this._draws.push(draw);
    if (this._section) {
      this._draw(draw, this._section);
    }
  }

  /** The content of the section, which opens for the first time. */
  open(section: ISection): Widget {
    this._section = section;
    for (const draw of this._draws) {
      this._draw(draw, section);
    }
    return this._panel;
  }

  private _draw(draw: DrawPart, section: ISection): void {
    addDrawn(this._panel, () => draw(section), this._trans);
  }

  private _panel = new Panel();
  private _draws: DrawPart[] = [];
  private _section: ISection | null = null;
}
