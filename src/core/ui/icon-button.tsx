import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** An icon button; its label is the tooltip and is read aloud. */
export function IconButton(props: IconButton.IProps): React.ReactElement {
  const { icon: Icon, label, onClick, disabled, pressed, className } = props;
  return (
    <button
      type="button"
      className={['gol-IconButton', className].filter(Boolean).join(' ')}
      title={label}
      aria-label={label}
      aria-pressed={pressed}
      disabled={disabled}
      tabIndex={props.tabIndex}
      onClick={onClick}
    >
      <Icon.react tag="span" className="gol-Icon" />
    </button>
  );
}

export namespace IconButton {
  export interface IProps {
    icon: LabIcon;
    label: string;
    onClick: (event: React.MouseEvent<HTMLButtonElement>) => void;
    disabled?: boolean;
    /** Set for a toggle button. */
    pressed?: boolean;
    className?: string;
    /** Set in a cell of a table. */
    tabIndex?: number;
  }
}

/** A text button with JupyterLab's style. */
export function ActionButton(props: ActionButton.IProps): React.ReactElement {
  const { label, onClick, primary, disabled, busy, caption } = props;
  return (
    <button
      type="button"
      className={`gol-Button jp-mod-styled jp-mod-minimal ${primary ? 'gol-mod-primary' : ''}`}
      title={caption}
      disabled={disabled}
      aria-disabled={busy || undefined}
      tabIndex={props.tabIndex}
      onClick={busy ? undefined : onClick}
    >
      {label}
    </button>
  );
}

export namespace ActionButton {
  export interface IProps {
    label: string;
    onClick: () => void;
    caption?: string;
    primary?: boolean;
    disabled?: boolean;
    /** Whether its action runs: a press does nothing, and the button keeps the focus. */
    busy?: boolean;
    /** Set in a cell of a table. */
    tabIndex?: number;
  }
}
