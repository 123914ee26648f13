import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  ReactWidget,
  ellipsesIcon,
  refreshIcon,
  settingsIcon
} from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import { Panel } from '@lumino/widgets';
import * as React from 'react';

import { genopsIcon } from '../core/icons';
import { IconButton } from '../core/ui/icon-button';

import { AttentionModel } from './attention';
import { SectionWidget } from './section';
import { SectionStates } from './section-states';
import { AttentionStrip } from './strip';
import type { ISection, ISectionAction, ISectionOptions } from './tokens';

/** The headings that a person can see. */
const TOGGLES = '.gol-Section:not(.lm-mod-hidden) .gol-Section-toggle';

/** The panel in the left area: what needs a person, an accordion of the features' sections, and More. */
export class GenOpsPanel extends Panel {
  constructor(options: GenOpsPanel.IOptions) {
    super();
    const { trans } = options;
    this._trans = trans;
    this._states = new SectionStates(options.state ?? null);
    this.id = 'genops-lab-panel';
    this.addClass('gol-Panel');
    this.title.icon = genopsIcon;
    this.title.caption = trans.__('GenOps Lab');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('GenOps Lab'));

    this._header = new PanelHeader(options);
    this._sections = new Panel();
    this._sections.addClass('gol-Panel-sections');
    this._footer = new Panel();
    this._footer.addClass('gol-Panel-footer');
    this._footer.addWidget(new MoreButton(trans, options.onMore));
    this.addWidget(this._header);
    this.addWidget(new AttentionStrip(this.attention, trans));
    this.attention.changed.connect(({ items }) => {
      this.toggleClass(
        'gol-mod-dimmed',
        items.some(({ dims }) => dims)
      );
    });
    this.addWidget(this._sections);
    this.addWidget(this._footer);
    void this._restore();
  }

  /** What needs a person, in the strip on top. */
  readonly attention = new AttentionModel();

  /** Whether a person can see the panel. */
  get isSeen(): boolean {
    return this._isSeen;
  }

  get seenChanged(): ISignal<this, boolean> {
    return this._seenChanged;
  }

  /** Emitted when a section is shown or hidden. */
  get sectionsChanged(): ISignal<this, void> {
    return this._sectionsChanged;
  }

  addSection(options: ISectionOptions): ISection {
    const { sections } = this;
    if (this.section(options.id)) {
      throw new Error(`The section ${options.id} is there already.`);
    }
    const section = new SectionWidget(options, this._trans);
    const after = sections.findIndex(each => each.options.rank > options.rank);
    this._sections.insertWidget(
      after === -1 ? sections.length : after,
      section
    );
    this._place(section);
    section.expandedChanged.connect((_, expanded) => {
      this._states.expand(options, expanded);
    }, this);
    return section;
  }

  /** Add a button that stands for the whole panel. */
  addAction(action: ISectionAction): void {
    this._header.addAction(action);
  }

  /** Show a small widget in the row at the bottom, beside More. */
  addNote(note: Widget): void {
    this._footer.addWidget(note);
  }

  /** All sections, as they follow each other, with those that are hidden. */
  get sections(): readonly SectionWidget[] {
    return this._sections.widgets as SectionWidget[];
  }

  section(id: string): SectionWidget | undefined {
    return this.sections.find(section => section.options.id === id);
  }

  /** Open a section, also one that a person has hidden, and bring it into view. */
  reveal(id: string): void {
    const section = this.section(id);
    if (!section || this._withheld.has(id)) {
      return;
    }
    this.setSectionHidden(id, false);
    section.expanded = true;
    section.node.scrollIntoView?.({ block: 'nearest' });
    if (!section.node.contains(document.activeElement)) {
      section.node
        .querySelector<HTMLButtonElement>('.gol-Section-toggle')
        ?.focus({ preventScroll: true });
    }
  }

  /** Hide or show a section, as a person wishes. */
  setSectionHidden(id: string, hidden: boolean): void {
    const section = this.section(id);
    if (section && section.isHidden !== hidden) {
      this._states.hide(section.options, hidden);
      this._place(section);
      this._sectionsChanged.emit();
      if (hidden) {
        this.focusHeading();
      }
    }
  }

  /** Show, hide, open and close all sections as a person finds them who has changed nothing. */
  reset(): void {
    this._states.reset();
    this.sections.forEach(section => this._place(section));
    this._sectionsChanged.emit();
    this.focusHeading();
  }

  /** Whether the administrator left a room on, as far as the server was asked. */
  offers(room: string): boolean {
    return !this._withheld.has(room);
  }

  /** Show only these rooms: the others were switched off by the administrator. */
  allow(rooms: readonly string[], known: readonly string[]): void {
    this._withheld = new Set(known.filter(id => !rooms.includes(id)));
    this.sections.forEach(section => this._place(section));
    this._sectionsChanged.emit();
  }

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._check);
    this._focus?.dispose();
    super.dispose();
  }

  /** Give the keyboard the first heading. */
  focusHeading(): void {
    this.node
      .querySelector<HTMLButtonElement>(TOGGLES)
      ?.focus({ preventScroll: true });
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    // A section that was just revealed has it.
    if (!this.node.contains(document.activeElement)) {
      this.focusHeading();
    }
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
      if (seen) {
        void this._keepFocus();
      }
      this._seenChanged.emit(seen);
    }
  };

  private async _keepFocus(): Promise<void> {
    const { keepFocus } = await import('../core/ui/keep-focus');
    if (!this.isDisposed) {
      this._focus ??= keepFocus(this.node);
    }
  }

  private async _restore(): Promise<void> {
    await this._states.load();
    if (!this.isDisposed) {
      this.sections.forEach(section => this._place(section));
    }
  }

  /** Show and open a section, or not, as it was kept. */
  private _place(section: SectionWidget): void {
    const { options } = section;
    section.setHidden(
      this._withheld.has(options.id) || this._states.isHidden(options)
    );
    if (this._states.isLoaded) {
      section.expanded = this._states.isExpanded(options);
    }
  }

  private _focus?: IDisposable;
  private _trans: TranslationBundle;
  private _states: SectionStates;
  private _header: PanelHeader;
  private _sections: Panel;
  private _footer: Panel;
  private _withheld = new Set<string>();
  private _isSeen = false;
  private _seenChanged = new Signal<this, boolean>(this);
  private _sectionsChanged = new Signal<this, void>(this);
}

export namespace GenOpsPanel {
  export interface IOptions extends PanelHeader.IOptions {
    state?: IStateDB | null;
    /** Open the menu More above this button. */
    onMore: (anchor: HTMLElement) => void;
  }
}

/** The button at the bottom: sections that can be shown, and pages. */
class MoreButton extends ReactWidget {
  constructor(
    private _trans: TranslationBundle,
    private _onMore: (anchor: HTMLElement) => void
  ) {
    super();
    this.addClass('gol-Panel-moreHost');
  }

  protected override render(): React.ReactElement {
    const trans = this._trans;
    return (
      <button
        type="button"
        className="gol-Panel-more"
        aria-haspopup="menu"
        title={trans.__('Show or hide sections, and open other pages')}
        onClick={event => this._onMore(event.currentTarget)}
      >
        <ellipsesIcon.react tag="span" className="gol-Icon" />
        {trans.__('More sections')}
      </button>
    );
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
