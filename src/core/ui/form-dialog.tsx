import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { ApiError } from '../errors';
import type { FormModel, IFormSnapshot } from '../form';

import { Callout } from './callout';

/**
 * Show a form in a dialog that stays open until the server has said yes: what goes
 * wrong stands in the dialog, with the fields as they were.
 *
 * @returns what the server answered, or undefined when the person left.
 */
export async function openForm<F extends object, R>(
  options: IOpenFormOptions<F, R>
): Promise<R | undefined> {
  const { form, trans } = options;
  const dialog = new FormDialog(form, {
    title: options.title,
    body: new FormBody(form, options.render),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: options.action })
    ],
    focusNodeSelector: options.focus ?? '.gol-Field-control'
  });
  const { button } = await dialog.launch();
  return button.accept ? form.result : undefined;
}

export interface IOpenFormOptions<F extends object, R> {
  title: string;
  form: FormModel<F, R>;
  /** The fields; the error is drawn below them. */
  render: (snapshot: IFormSnapshot<F>) => React.ReactElement;
  /** The verb on the button. */
  action: string;
  /** A selector of what takes the focus. */
  focus?: string;
  trans: TranslationBundle;
}

class FormBody<F extends object, R> extends ReactWidget {
  constructor(
    form: FormModel<F, R>,
    draw: (snapshot: IFormSnapshot<F>) => React.ReactElement
  ) {
    super();
    this.addClass('gol-Form-host');
    this._form = form;
    this._draw = draw;
    form.changed.connect(this._onChanged, this);
  }

  override dispose(): void {
    Signal.clearData(this);
    super.dispose();
  }

  protected override render(): React.ReactElement {
    const { snapshot } = this._form;
    return (
      <div className="gol-Form" aria-busy={snapshot.busy}>
        {this._draw(snapshot)}
        <FormError error={snapshot.error} />
      </div>
    );
  }

  private _onChanged(): void {
    this.update();
  }

  private _form: FormModel<F, R>;
  private _draw: (snapshot: IFormSnapshot<F>) => React.ReactElement;
}

/** A dialog whose accepting button sends the form, and closes it only after that succeeded. */
class FormDialog<F extends object, R> extends Dialog<unknown> {
  constructor(
    form: FormModel<F, R>,
    options: Partial<Dialog.IOptions<unknown>> & {
      buttons: readonly Dialog.IButton[];
    }
  ) {
    super(options);
    this.addClass('gol-FormDialog');
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
    // The second half of the double click that opened it falls outside, which would close it.
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
    // The dialog takes Enter for its own default button, also on buttons of the form.
    const own =
      event instanceof KeyboardEvent &&
      event.key === 'Enter' &&
      event.target instanceof Element &&
      event.target.closest('.gol-Form button, .gol-Form summary') !== null;
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
    super.onAfterAttach(msg);
    document.addEventListener('keydown', this._onStrayKey);
  }

  protected override onAfterDetach(msg: Message): void {
    document.removeEventListener('keydown', this._onStrayKey);
    super.onAfterDetach(msg);
  }

  /**
   * The focus may be outside the dialog: a field that goes while it has the focus
   * leaves it to the page, and a default button that is disabled cannot take it.
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

  private _sync(): void {
    const { busy } = this._form.snapshot;
    const button = this.node.querySelector<HTMLButtonElement>(
      '.jp-Dialog-footer .jp-mod-accept'
    );
    if (button) {
      button.disabled = !this._form.valid;
      // A disabled button would lose the focus, and with it the dialog its keys.
      button.setAttribute('aria-disabled', String(busy));
    }
  }

  private _form: FormModel<F, R>;
  private _accept: number;
}

/** Why a form was not taken; read aloud when it appears. */
export function FormError(props: {
  error: ApiError | undefined;
}): React.ReactElement {
  const { error } = props;
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
          {error.hint}
        </Callout>
      )}
    </div>
  );
}

/** A labelled control with help or what is wrong below it. */
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

/** A figure of 0 or more in a {@link Field}; NaN while nothing is typed. */
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
    /** What is wrong with the value. */
    error?: string;
    /** Draws the input or select with these attributes. */
    children: (control: IControl) => React.ReactElement;
  }
}
