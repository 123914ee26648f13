import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../errors';

import { ActionButton } from './icon-button';

/** An empty view: what belongs here, with a button that makes the first one. */
export function EmptyState(props: EmptyState.IProps): React.ReactElement {
  return (
    <div className="gol-EmptyState">
      <p className="gol-EmptyState-text">{props.text}</p>
      {props.children}
      {props.actions && props.actions.length > 0 && (
        <div className="gol-EmptyState-actions">
          {props.actions.map(action => (
            <ActionButton key={action.label} {...action} />
          ))}
        </div>
      )}
    </div>
  );
}

export namespace EmptyState {
  export interface IProps {
    text: React.ReactNode;
    actions?: ActionButton.IProps[];
    children?: React.ReactNode;
  }
}

/** Shown late, so that a fast answer does not flicker. */
export function Loading(props: {
  trans: TranslationBundle;
}): React.ReactElement {
  return (
    <div className="gol-Loading" role="status">
      <span className="gol-Loading-bar" aria-hidden="true" />
      <span className="gol-VisuallyHidden">{props.trans.__('Loading…')}</span>
    </div>
  );
}

/** A view whose backend is down: title, reason and "Retry now". */
export function DownState(props: DownState.IProps): React.ReactElement {
  const { what, error, action, onRetry, trans, busy } = props;
  return (
    <div
      className={`gol-DownState ${error.code === 'network' ? 'gol-mod-away' : ''}`}
      role="status"
    >
      <p className="gol-DownState-what">{what}</p>
      <p className="gol-DownState-why">{reasonOf(error)}</p>
      {error.hint && <p className="gol-DownState-hint">{error.hint}</p>}
      <div className="gol-EmptyState-actions">
        <ActionButton
          label={busy ? trans.__('Trying…') : (action ?? trans.__('Retry now'))}
          busy={busy}
          onClick={onRetry}
        />
      </div>
    </div>
  );
}

/** Why something failed. MLflow's errors also say what failed, as the title does: they have the reason alone. */
function reasonOf({ details, message }: ApiError): string {
  return typeof details.reason === 'string' ? details.reason : message;
}

export namespace DownState {
  export interface IProps {
    /** Title, as a sentence: "Experiments cannot be read." */
    what: string;
    error: ApiError;
    /** The label of the button; "Retry now" by default. */
    action?: string;
    onRetry: () => void;
    trans: TranslationBundle;
    busy?: boolean;
  }
}
