import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { ApiError } from '../errors';
import type { FormModel, IFormSnapshot } from '../form';

import { Callout } from './callout';
import { rememberFocus } from './keep-focus';

/**
 * Show a form in a dialog that closes only after the server accepted the form. The
 * dialog shows errors and keeps the fields.
 *
 * @returns the server's answer, or undefined when the user cancelled.
 */
export async function openForm<F extends object, R>(
  options: IOpenFormOptions<F, R>
): Promise<R | undefined> {
  const { form, other, trans } = options;
  const dialog = new FormDialog(form, {
    title: options.title,
    body: new FormBody(options),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      ...(other
        ? [Dialog.createButton({ label: other.label, accept: false })]
        : []),
      Dialog.okButton({ label: options.action })
    ],
    focusNodeSelector: options.focus ?? '.gol-Field-control'
  });
  const { button } = await dialog.launch();
  if (other && button.label === other.label) {
    other.execute();
  }
  return button.accept ? form.result : undefined;
}

export interface IOpenFormOptions<F extends object, R> {
  title: string;
  form: FormModel<F, R>;
  /** Renders the fields; the error follows them. */
  render: (snapshot: IFormSnapshot<F>) => React.ReactElement;
  /** The verb on the button. */
  action: string;
  /** A further button, which closes the dialog. */
  other?: { label: string; execute: () => void };
  /** Selector of the element that gets the focus. */
  focus?: string;
  trans: TranslationBundle;
}

/** The controls of a form that Enter presses, and inputs whose new text counts at Enter. */
const OWN_ENTER =
  '.gol-Form button, .gol-Form summary, .gol-Form [data-takes-enter]';

/** What can have the focus in a form. */
const FOCUSABLE = [
  'button',
  'input',
  'select',
  'textarea',
  'summary',
  'a[href]'
]
  .map(each => `.gol-Form ${each}:not(:disabled)`)
  .join();

class FormBody<F extends object, R> extends ReactWidget {
  constructor(private _its: IOpenFormOptions<F, R>) {
    super();
    this.addClass('gol-Form-host');
    _its.form.changed.connect(this._onChanged, this);
  }

  override dispose(): void {
    Signal.clearData(this);
    super.dispose();
  }

  protected override render(): React.ReactElement {
    const { form, action, trans } = this._its;
    const { snapshot } = form;
    return (
      <div className="gol-Form" aria-busy={snapshot.busy}>
        {this._its.render(snapshot)}
        <FormError
          error={snapshot.error}
          hint={keptWords(snapshot.error, form.valid ? action : '', trans)}
        />
      </div>
    );
  }

  private _onChanged(): void {
    this.update();
  }
}

/** A dialog whose accept button submits the form; the dialog closes after a success. */
class FormDialog<F extends object, R> extends Dialog<unknown> {
  constructor(
    form: FormModel<F, R>,
    options: Partial<Dialog.IOptions<unknown>> & {
      title: string;
      buttons: readonly Dialog.IButton[];
    }
  ) {
    super(options);
    this.addClass('gol-FormDialog');
    this.node.setAttribute('aria-label', options.title);
    this._form = form;
    this._accept = options.buttons.findIndex(button => button.accept);
    form.changed.connect(this._sync, this);
    this._sync();
  }

  override resolve(index: number = this._accept): void {
    if (index !== this._accept) {
      super.resolve(index);
      return;
    }
    void this._form.submit().then(sent => {
      if (sent && !this.isDisposed) {
        super.resolve(index);
      }
    });
  }

  override handleEvent(event: Event): void {
    // The second click of a double click that opened the dialog would close it.
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
    // Escape leaves an editor, in which Tab indents; a second one closes the dialog.
    if (
      event instanceof KeyboardEvent &&
      event.type === 'keydown' &&
      event.key === 'Escape' &&
      event.target instanceof Element &&
      event.target.closest('[data-takes-escape]')
    ) {
      event.preventDefault();
      event.stopPropagation();
      this.node.querySelector<HTMLElement>('.jp-Dialog-footer button')?.focus();
      return;
    }
    // The dialog itself knows the first control only as it was when the dialog opened, and its last button only as
    // long as that is enabled.
    if (
      event instanceof KeyboardEvent &&
      event.type === 'keydown' &&
      event.key === 'Tab' &&
      !event.shiftKey &&
      event.target === this._lastButton()
    ) {
      const first = this.node.querySelector<HTMLElement>(FOCUSABLE);
      if (first) {
        event.preventDefault();
        event.stopPropagation();
        first.focus();
        return;
      }
    }
    // The dialog maps Enter to its default button, also on controls of the form.
    const own =
      event instanceof KeyboardEvent &&
      event.key === 'Enter' &&
      event.target instanceof Element &&
      event.target.closest(OWN_ENTER) !== null;
    if (!own) {
      super.handleEvent(event);
    }
  }

  override dispose(): void {
    document.removeEventListener('keydown', this._onStrayKey);
    Signal.clearData(this);
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    this._refocus = rememberFocus();
    super.onAfterAttach(msg);
    document.addEventListener('keydown', this._onStrayKey);
  }

  protected override onAfterDetach(msg: Message): void {
    document.removeEventListener('keydown', this._onStrayKey);
    super.onAfterDetach(msg);
    // What the form changed may have replaced the control that opened the dialog.
    this._refocus();
  }

  /**
   * Move the focus back into the dialog: a removed field leaves the focus to the page,
   * and a disabled default button cannot take it.
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

  protected override _checkValidation(): void {
    this._sync();
  }

  /** The last button that can have the focus. */
  private _lastButton(): Element | undefined {
    const buttons = this.node.querySelectorAll(
      '.jp-Dialog-footer button:not(:disabled)'
    );
    return buttons[buttons.length - 1];
  }

  private _sync(): void {
    const { busy } = this._form.snapshot;
    const button = this.node.querySelector<HTMLButtonElement>(
      '.jp-Dialog-footer .jp-mod-accept'
    );
    if (button) {
      button.disabled = !this._form.valid;
      // A disabled button loses the focus; the dialog would then get no key events.
      button.setAttribute('aria-disabled', String(busy));
    }
  }

  private _form: FormModel<F, R>;
  private _accept: number;
  private _refocus = (): void => undefined;
}

/**
 * What the user of a form does while the server is away: unlike a view, a form does not
 * send again by itself. Undefined for another error.
 *
 * @param action the verb on the button; empty while the button is disabled.
 */
export function keptWords(
  error: ApiError | undefined,
  action: string,
  trans: TranslationBundle
): string | undefined {
  if (!['network', 'gateway'].includes(error?.code ?? '')) {
    return undefined;
  }
  return action
    ? trans.__(
        'The fields are kept. Press “%1” again when the server answers.',
        action
      )
    : trans.__(
        'The fields are kept. Check that JupyterLab is running and that you are connected.'
      );
}

/** The error of a form; read aloud when it appears. */
export function FormError(props: {
  error: ApiError | undefined;
  /** Stands in place of the error's own hint. */
  hint?: string;
}): React.ReactElement {
  const { error, hint } = props;
  const node = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (error) {
      node.current?.scrollIntoView?.({ block: 'nearest' });
    }
  }, [error]);
  return (
    <div role="alert" ref={node}>
      {error && (
        <Callout tone="error" title={error.message}>
          {hint ?? error.hint}
        </Callout>
      )}
    </div>
  );
}

/** A labelled control with its help or its error below. */
export function Field(props: Field.IProps): React.ReactElement {
  const id = React.useId();
  const note = props.error || props.help;
  return (
    <div className="gol-Field">
      <label className="gol-Field-label" htmlFor={id}>
        {props.label}
      </label>
      {props.children({
        id,
        className: 'gol-Field-control',
        'aria-invalid': props.error ? true : undefined,
        'aria-describedby': note ? `${id}-note` : undefined
      })}
      {note && (
        <span
          id={`${id}-note`}
          className={props.error ? 'gol-Field-error' : 'gol-Field-help'}
        >
          {note}
        </span>
      )}
    </div>
  );
}

/** A number of 0 or more in a {@link Field}; NaN while the field is empty. */
export function NumberInput(props: {
  control: Field.IControl;
  value: number;
  max?: number;
  step?: number;
  onChange: (value: number) => void;
}): React.ReactElement {
  const { control, value, max, step, onChange } = props;
  return (
    <input
      {...control}
      type="number"
      min={0}
      max={max}
      step={step ?? 'any'}
      value={Number.isNaN(value) ? '' : value}
      onChange={({ target: { value: text } }) =>
        onChange(text === '' ? NaN : Number(text))
      }
    />
  );
}

export namespace Field {
  export interface IControl {
    id: string;
    className: string;
    'aria-invalid': true | undefined;
    'aria-describedby': string | undefined;
  }

  export interface IProps {
    label: string;
    help?: React.ReactNode;
    /** The problem of the value. */
    error?: string;
    /** Renders the input or select with these attributes. */
    children: (control: IControl) => React.ReactElement;
  }
}
