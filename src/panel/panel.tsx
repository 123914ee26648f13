import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  ReactWidget,
  refreshIcon,
  settingsIcon
} from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import { Panel } from '@lumino/widgets';
import * as React from 'react';

import { genopsIcon } from '../core/icons';
import { IconButton } from '../core/ui/icon-button';

import { SectionWidget } from './section';
import type { ISection, ISectionAction, ISectionOptions } from './tokens';

/** Where the state database keeps which sections are open. */
export const STATE_KEY = 'genops-lab:panel';

/** The panel in the left area: an accordion of what the rooms offer. */
export class GenOpsPanel extends Panel {
  constructor(options: GenOpsPanel.IOptions) {
    super();
    const { trans } = options;
    this._trans = trans;
    this._state = options.state ?? null;
    this.id = 'genops-lab-panel';
    this.addClass('gol-Panel');
    this.title.icon = genopsIcon;
    this.title.caption = trans.__('GenOps Lab');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('GenOps Lab'));

    this._header = new PanelHeader(options);
    this._sections = new Panel();
    this._sections.addClass('gol-Panel-sections');
    this.addWidget(this._header);
    this.addWidget(this._sections);
    void this._restore();
  }

  /** Whether a person can see the panel. */
  get isSeen(): boolean {
    return this._isSeen;
  }

  get seenChanged(): ISignal<this, boolean> {
    return this._seenChanged;
  }

  addSection(options: ISectionOptions): ISection {
    const { widgets } = this._sections;
    if (this.section(options.id)) {
      throw new Error(`The section ${options.id} is there already.`);
    }
    const section = new SectionWidget(options, this._trans);
    const after = widgets.findIndex(
      widget => (widget as SectionWidget).options.rank > options.rank
    );
    section.setHidden(this._withheld.has(options.id));
    this._sections.insertWidget(after === -1 ? widgets.length : after, section);
    if (this._expanded) {
      section.expanded = this._expanded[options.id] ?? true;
    }
    section.expandedChanged.connect(this._save, this);
    return section;
  }

  /** Add a button that stands for the whole panel. */
  addAction(action: ISectionAction): void {
    this._header.addAction(action);
  }

  /** Show a widget between the header and the sections. */
  addBanner(banner: Widget): void {
    this.insertWidget(this.widgets.length - 1, banner);
  }

  section(id: string): SectionWidget | undefined {
    return (this._sections.widgets as SectionWidget[]).find(
      section => section.options.id === id
    );
  }

  /** Open a section and bring it into view. */
  reveal(id: string): void {
    const section = this.section(id);
    if (section && !section.isHidden) {
      section.expanded = true;
      section.node.scrollIntoView?.({ block: 'nearest' });
      section.node
        .querySelector<HTMLButtonElement>('.gol-Section-toggle')
        ?.focus({ preventScroll: true });
    }
  }

  /** Whether the administrator left a room on, as far as the server was asked. */
  offers(room: string): boolean {
    return !this._withheld.has(room);
  }

  /** Show only these rooms: the others were switched off by the administrator. */
  allow(rooms: readonly string[], known: readonly string[]): void {
    this._withheld = new Set(known.filter(id => !rooms.includes(id)));
    for (const section of this._sections.widgets as SectionWidget[]) {
      section.setHidden(this._withheld.has(section.options.id));
    }
  }

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._check);
    super.dispose();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.node
      .querySelector<HTMLButtonElement>('.gol-Section-toggle')
      ?.focus({ preventScroll: true });
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    document.addEventListener('visibilitychange', this._check);
    this._check();
  }

  protected override onAfterDetach(msg: Message): void {
    document.removeEventListener('visibilitychange', this._check);
    super.onAfterDetach(msg);
    this._check();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._check();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._check();
  }

  private _check = (): void => {
    const seen = this.isVisible && document.visibilityState !== 'hidden';
    if (seen !== this._isSeen) {
      this._isSeen = seen;
      this._seenChanged.emit(seen);
    }
  };

  private async _restore(): Promise<void> {
    let saved: unknown;
    try {
      saved = await this._state?.fetch(STATE_KEY);
    } catch (reason) {
      console.warn('GenOps Lab: the state of the panel is lost', reason);
    }
    if (this.isDisposed) {
      return;
    }
    const expanded = (saved as { expanded?: unknown } | undefined)?.expanded;
    this._expanded =
      typeof expanded === 'object' && expanded !== null
        ? (expanded as Record<string, boolean>)
        : {};
    for (const section of this._sections.widgets as SectionWidget[]) {
      section.expanded = this._expanded[section.options.id] ?? true;
    }
  }

  private _save(section: SectionWidget, expanded: boolean): void {
    if (!this._expanded) {
      return;
    }
    // Rooms that are not here keep theirs.
    this._expanded = { ...this._expanded, [section.options.id]: expanded };
    this._state
      ?.save(STATE_KEY, { expanded: this._expanded })
      .catch(reason =>
        console.warn('GenOps Lab: the state of the panel is not kept', reason)
      );
  }

  private _trans: TranslationBundle;
  private _state: IStateDB | null;
  private _header: PanelHeader;
  private _sections: Panel;
  private _expanded: Record<string, boolean> | null = null;
  private _withheld = new Set<string>();
  private _isSeen = false;
  private _seenChanged = new Signal<this, boolean>(this);
}

export namespace GenOpsPanel {
  export interface IOptions extends PanelHeader.IOptions {
    state?: IStateDB | null;
  }
}

/** The name of the panel and the buttons that stand for all of it. */
class PanelHeader extends ReactWidget {
  constructor(options: PanelHeader.IOptions) {
    super();
    this._options = options;
    this.addClass('gol-Panel-header');
  }

  addAction(action: ISectionAction): void {
    this._actions = [...this._actions, action];
    this.update();
  }

  protected override render(): React.ReactElement {
    const { trans, onRefresh, onSettings } = this._options;
    return (
      <>
        <h2 className="gol-Panel-title">{trans.__('GenOps Lab')}</h2>
        {this._actions.map(action => (
          <IconButton
            key={action.id}
            icon={action.icon}
            label={action.label}
            onClick={action.execute}
          />
        ))}
        <IconButton
          icon={refreshIcon}
          label={trans.__('Refresh what is shown')}
          onClick={onRefresh}
        />
        {onSettings && (
          <IconButton
            icon={settingsIcon}
            label={trans.__('Open the settings of GenOps Lab')}
            onClick={onSettings}
          />
        )}
      </>
    );
  }

  private _options: PanelHeader.IOptions;
  private _actions: readonly ISectionAction[] = [];
}

export namespace PanelHeader {
  export interface IOptions {
    trans: TranslationBundle;
    onRefresh: () => void;
    onSettings?: () => void;
  }
}
