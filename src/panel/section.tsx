import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, caretRightIcon } from '@jupyterlab/ui-components';
import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import { Panel } from '@lumino/widgets';
import * as React from 'react';

import { IconButton } from '../core/ui/icon-button';
import { addDrawn } from '../core/ui/late';

import type { IDriven, ISection, ISectionOptions } from './tokens';

/** A heading that opens and closes what is below it. */
export class SectionWidget extends Panel implements ISection {
  constructor(
    readonly options: ISectionOptions,
    private _trans: TranslationBundle
  ) {
    super();
    this.id = `genops-lab-section-${options.id}`;
    this.addClass('gol-Section');
    this.node.dataset.section = options.id;

    this._heading = new HeadingWidget();
    this._body = new SectionBody();
    this._body.id = `${this.id}-body`;
    this._body.node.setAttribute('role', 'region');
    this._body.node.setAttribute('aria-labelledby', `${this.id}-title`);
    this._body.hide();
    this._body.seenChanged.connect(this._onVisible, this);
    this.addWidget(this._heading);
    this.addWidget(this._body);
    this._drawHeading();
  }

  /** Emitted when the person opens or closes it. */
  get expandedChanged(): ISignal<this, boolean> {
    return this._expandedChanged;
  }

  get seenChanged(): ISignal<this, boolean> {
    return this._seenChanged;
  }

  get isSeen(): boolean {
    return this._body.isSeen;
  }

  get expanded(): boolean {
    return this._expanded;
  }
  set expanded(value: boolean) {
    if (value === this._expanded) {
      return;
    }
    this._expanded = value;
    this._body.setHidden(!value);
    this.toggleClass('gol-mod-expanded', value);
    this._drawHeading();
    this._expandedChanged.emit(value);
  }

  setCount(count: number, label: string): void {
    const text = count > 0 ? String(count) : '';
    if (text === this._badge && label === this._badgeLabel) {
      return;
    }
    this._badge = text;
    this._badgeLabel = label;
    this._drawHeading();
  }

  drive(...resources: IDriven[]): IDisposable {
    const set = (visible: boolean) => {
      for (const resource of resources) {
        resource.visible = visible;
      }
    };
    const onVisible = (_: unknown, visible: boolean) => set(visible);
    this._seenChanged.connect(onVisible, this);
    set(this._body.isSeen);
    return new DisposableDelegate(() => {
      this._seenChanged.disconnect(onVisible, this);
      set(false);
    });
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    if (this._body.isSeen) {
      this._seenChanged.emit(false);
    }
    super.dispose();
  }

  private _onVisible(_: unknown, visible: boolean): void {
    if (visible && !this._rendered) {
      this._rendered = true;
      addDrawn(this._body, () => this.options.render(this), this._trans);
    }
    this._seenChanged.emit(visible);
  }

  private _drawHeading(): void {
    const { title, caption, icon: Icon, actions } = this.options;
    const heading = (
      <>
        <h3 className="gol-Section-title">
          <button
            type="button"
            className="gol-Section-toggle"
            id={`${this.id}-title`}
            aria-expanded={this._expanded}
            aria-controls={this._body.id}
            title={caption}
            onClick={() => {
              this.expanded = !this._expanded;
            }}
            onKeyDown={event => this._onKeyDown(event)}
          >
            <caretRightIcon.react
              tag="span"
              className="gol-Icon gol-Section-caret"
            />
            <Icon.react tag="span" className="gol-Icon" />
            <span className="gol-Section-label">{title}</span>
            {this._badge && (
              <span
                className="gol-Section-badge"
                aria-label={this._badgeLabel || undefined}
                title={this._badgeLabel || undefined}
                role={this._badgeLabel ? 'img' : undefined}
              >
                {this._badge}
              </span>
            )}
          </button>
        </h3>
        {actions && actions.length > 0 && (
          <div className="gol-Section-actions">
            {actions.map(action => (
              <IconButton
                key={action.id}
                icon={action.icon}
                label={action.label}
                onClick={action.execute}
              />
            ))}
          </div>
        )}
      </>
    );
    this._heading.element = heading;
  }

  /** The accordion's keys: up and down between headings, Home and End. */
  private _onKeyDown(event: React.KeyboardEvent<HTMLButtonElement>): void {
    const all = Array.from(
      this.parent?.node.querySelectorAll<HTMLButtonElement>(
        '.gol-Section:not(.lm-mod-hidden) .gol-Section-toggle'
      ) ?? []
    );
    const here = all.indexOf(event.currentTarget);
    const target = {
      ArrowDown: here + 1,
      ArrowUp: here - 1,
      Home: 0,
      End: all.length - 1
    }[event.key];
    if (target !== undefined && all[target]) {
      event.preventDefault();
      all[target].focus();
    }
  }

  private _heading: HeadingWidget;
  private _body: SectionBody;
  private _expanded = false;
  private _rendered = false;
  private _badge = '';
  private _badgeLabel = '';
  private _expandedChanged = new Signal<this, boolean>(this);
  private _seenChanged = new Signal<this, boolean>(this);
}

/** Draws whatever element it was given last. */
class HeadingWidget extends ReactWidget {
  constructor() {
    super();
    this.addClass('gol-Section-heading');
  }

  set element(value: React.ReactElement) {
    this._element = value;
    this.update();
  }

  protected override render(): React.ReactElement {
    return this._element;
  }

  private _element: React.ReactElement = (<></>);
}

/** What is below a heading; knows whether a person can see it. */
class SectionBody extends Panel {
  constructor() {
    super();
    this.addClass('gol-Section-body');
    document.addEventListener('visibilitychange', this._check);
  }

  get seenChanged(): ISignal<this, boolean> {
    return this._seenChanged;
  }

  get isSeen(): boolean {
    return this._isSeen;
  }

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._check);
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._check();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._check();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._check();
  }

  protected override onAfterDetach(msg: Message): void {
    super.onAfterDetach(msg);
    this._check();
  }

  private _check = (): void => {
    const seen = this.isVisible && document.visibilityState !== 'hidden';
    if (seen !== this._isSeen) {
      this._isSeen = seen;
      this._seenChanged.emit(seen);
    }
  };

  private _isSeen = false;
  private _seenChanged = new Signal<this, boolean>(this);
}
