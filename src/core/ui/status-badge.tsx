import type { LabIcon } from '@jupyterlab/ui-components';
import {
  checkIcon,
  circleEmptyIcon,
  circleIcon,
  errorIcon,
  pauseIcon,
  runningIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

/** The meaning of a state, the same in all features. */
export type Tone = 'busy' | 'ok' | 'idle' | 'warning' | 'error' | 'stopped';

const ICONS: Record<Tone, LabIcon> = {
  busy: runningIcon,
  ok: checkIcon,
  idle: circleEmptyIcon,
  warning: pauseIcon,
  error: errorIcon,
  stopped: stopIcon
};

/** A state by icon, label and colour. */
export function StatusBadge(props: StatusBadge.IProps): React.ReactElement {
  const Icon = props.icon ?? ICONS[props.tone] ?? circleIcon;
  return (
    <span
      className={`gol-StatusBadge gol-mod-${props.tone}`}
      title={props.caption}
    >
      <Icon.react tag="span" className="gol-Icon" />
      <span>{props.label}</span>
    </span>
  );
}

export namespace StatusBadge {
  export interface IProps {
    tone: Tone;
    label: React.ReactNode;
    caption?: string;
    icon?: LabIcon;
  }
}
