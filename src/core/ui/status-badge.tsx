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

/** What a state means for the person, whatever the room calls it. */
export type Tone = 'busy' | 'ok' | 'idle' | 'warning' | 'error' | 'stopped';

const ICONS: Record<Tone, LabIcon> = {
  busy: runningIcon,
  ok: checkIcon,
  idle: circleEmptyIcon,
  warning: pauseIcon,
  error: errorIcon,
  stopped: stopIcon
};

/** A state by icon and word; colour only repeats what they say. */
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
