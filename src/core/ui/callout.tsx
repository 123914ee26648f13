import type { LabIcon } from '@jupyterlab/ui-components';
import {
  checkIcon,
  errorIcon,
  infoIcon,
  notTrustedIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

const ICONS: Record<Callout.Tone, LabIcon> = {
  ok: checkIcon,
  info: infoIcon,
  warning: notTrustedIcon,
  error: errorIcon
};

/** A message of several lines with the icon of its tone. */
export function Callout(props: Callout.IProps): React.ReactElement {
  const { tone, title, children } = props;
  const Icon = props.icon ?? ICONS[tone];
  return (
    <div className={`gol-Callout gol-mod-${tone}`}>
      <Icon.react tag="span" className="gol-Icon" />
      <div className="gol-Callout-text">
        <p>
          <strong>{title}</strong>
        </p>
        {typeof children === 'string'
          ? children && <p>{children}</p>
          : children}
      </div>
    </div>
  );
}

export namespace Callout {
  export type Tone = 'ok' | 'info' | 'warning' | 'error';

  export interface IProps {
    tone: Tone;
    title: React.ReactNode;
    icon?: LabIcon;
    children?: React.ReactNode;
  }
}
