import { Dialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { ISignal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import '../../../style/hosts/dialogs.css';

/**
 * A dialog that is drawn from a model. Its buttons change with the model's
 * state, so the dialog draws them itself. It closes when {@link finish} is
 * called, and calls `onLeave` of its options on Escape, on the cross and on a
 * click outside.
 */
export class ModelDialog extends Dialog<unknown> {
  constructor(private _its: ModelDialog.IOptions) {
    super({
      title: _its.title,
      body: new Body(_its),
      buttons: [],
      renderer: new WithoutFooter(),
      focusNodeSelector: _its.focus
    });
    this.addClass('gol-FormDialog');
    this.node.setAttribute('aria-label', _its.title);
  }

  /** Close the dialog. */
  finish(): void {
    if (!this._finished) {
      this._finished = true;
      super.reject();
      // A dialog that waits behind another one was never launched.
      if (!this.isAttached) {
        this.dispose();
      }
    }
  }

  override reject(): void {
    this._its.onLeave();
  }

  /** The dialog has no default button. */
  override resolve(): void {
    return;
  }

  override handleEvent(event: Event): void {
    if (event instanceof KeyboardEvent && event.type === 'keydown') {
      this._onKey(event);
      return;
    }
    if (event.type === 'focus') {
      this._onFocus(event);
      return;
    }
    // The second half of the double click that opened the dialog is outside of
    // it and would close it.
    if (
      event.type === 'click' &&
      (event as MouseEvent).detail > 1 &&
      event.target instanceof Element &&
      event.target.closest('.jp-Dialog-content') === null
    ) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    super.handleEvent(event);
  }

  override dispose(): void {
    document.removeEventListener('keydown', this._onStrayKey);
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    document.addEventListener('keydown', this._onStrayKey);
  }

  protected override onAfterDetach(msg: Message): void {
    document.removeEventListener('keydown', this._onStrayKey);
    super.onAfterDetach(msg);
  }

  /**
   * The page behind may take the focus, also late: return it to the element
   * that had it, or to its replacement.
   */
  private _onFocus(event: Event): void {
    if (!(event.target instanceof HTMLElement)) {
      return; // the window itself
    }
    if (this.node.contains(event.target)) {
      this._focused = event.target;
      return;
    }
    event.stopPropagation();
    const kept = this._focused?.matches(FOCUSABLE) ? this._focused : undefined;
    const own =
      kept && this.node.contains(kept)
        ? kept
        : (this._focusable.find(each => each.closest('.jp-Dialog-body')) ??
          this._focusable[0]);
    own?.focus();
  }

  /** The elements that can have the focus now, in order. */
  private get _focusable(): HTMLElement[] {
    return Array.from(
      this.node.querySelectorAll<HTMLElement>(FOCUSABLE)
    ).filter(each => each.offsetParent !== null);
  }

  /** The form's own controls handle Enter and the arrows; Tab cycles. */
  private _onKey(event: KeyboardEvent): void {
    if (event.key === 'Escape') {
      event.stopPropagation();
      event.preventDefault();
      this.reject();
      return;
    }
    // Nothing behind the dialog gets its keys.
    event.stopPropagation();
    if (event.key === 'Tab') {
      const all = this._focusable;
      const [first, last] = [all[0], all[all.length - 1]];
      const from = event.shiftKey ? first : last;
      if (first && document.activeElement === from) {
        event.preventDefault();
        (event.shiftKey ? last : first).focus();
      }
    }
  }

  /**
   * The focused element may have disappeared, so that the page has the focus.
   */
  private _onStrayKey = (event: KeyboardEvent): void => {
    if (
      event.key === 'Escape' &&
      event.target instanceof Element &&
      !event.target.closest('.jp-Dialog, .lm-CommandPalette')
    ) {
      event.preventDefault();
      this.reject();
    }
  };

  private _finished = false;
  private _focused: HTMLElement | undefined;
}

export namespace ModelDialog {
  export interface IOptions {
    title: string;
    /** Draws the dialog again. */
    changed: ISignal<unknown, unknown>;
    /** The content, with the buttons in {@link DialogButtons}. */
    render: () => React.ReactElement;
    /** Called when the user wants to leave. */
    onLeave: () => void;
    /** A selector of the element that gets the focus. */
    focus: string;
  }
}

const FOCUSABLE =
  'button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), a[href], summary, [tabindex="0"]';

/** The buttons of a dialog, at its end. */
export function DialogButtons(props: {
  children: React.ReactNode;
}): React.ReactElement {
  return <div className="gol-DialogButtons">{props.children}</div>;
}

/**
 * A button of a dialog, in JupyterLab's look. Without `onClick` it submits its
 * form.
 */
export function DialogButton(props: DialogButton.IProps): React.ReactElement {
  const look = {
    cancel: 'jp-mod-reject',
    accept: 'jp-mod-accept',
    warn: 'jp-mod-warn'
  };
  return (
    <button
      type={props.onClick ? 'button' : 'submit'}
      className={`jp-Dialog-button jp-mod-styled ${look[props.kind]}`}
      title={props.caption}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <span className="jp-Dialog-buttonLabel">{props.label}</span>
    </button>
  );
}

export namespace DialogButton {
  export interface IProps {
    kind: 'cancel' | 'accept' | 'warn';
    label: string;
    onClick?: () => void;
    caption?: string;
    disabled?: boolean;
  }
}

class Body extends ReactWidget {
  constructor(private _its: ModelDialog.IOptions) {
    super();
    this.addClass('gol-Form-host');
    _its.changed.connect(this._onChanged, this);
  }

  protected override render(): React.ReactElement {
    return this._its.render();
  }

  private _onChanged(): void {
    this.update();
  }
}

class WithoutFooter extends Dialog.Renderer {
  override createFooter(): Widget {
    const footer = new Widget();
    footer.hide();
    return footer;
  }
}
