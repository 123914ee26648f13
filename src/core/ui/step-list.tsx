import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import {
  checkIcon,
  circleEmptyIcon,
  errorIcon,
  infoIcon,
  notTrustedIcon,
  runningIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatDuration } from '../format';

import '../../../style/core/steps.css';

const ICONS: Record<StepList.State, LabIcon> = {
  ok: checkIcon,
  warning: notTrustedIcon,
  failed: errorIcon,
  skipped: circleEmptyIcon,
  optional: infoIcon,
  running: runningIcon,
  asking: notTrustedIcon,
  waiting: circleEmptyIcon
};

const TONES: Record<StepList.State, string> = {
  ok: 'ok',
  warning: 'warning',
  failed: 'error',
  skipped: 'idle',
  optional: 'idle',
  running: 'busy',
  asking: 'warning',
  waiting: 'idle'
};

/** Seconds above which a step shows its duration. */
const SLOW_S = 1;

/** The steps of a test: finished ones with their results, the running one, and those not started. */
export function StepList(props: StepList.IProps): React.ReactElement {
  const { label, steps, trans } = props;
  const states = stateNames(trans);
  return (
    <ol
      className="gol-Steps"
      aria-label={label}
      aria-live="polite"
      aria-relevant="additions text"
    >
      {steps.map(({ step, title, state, message, hint, took_s, fixes }) => {
        const Icon = ICONS[state];
        return (
          <li
            key={step}
            className={`gol-Step gol-mod-${state} gol-StatusBadge gol-mod-${TONES[state]}`}
          >
            <Icon.react tag="span" className="gol-Icon" />
            <div className="gol-Step-text">
              <p className="gol-Step-head">
                <span className="gol-Step-name">{title}</span>
                {state !== 'asking' && (
                  <span className="gol-VisuallyHidden">{states[state]}</span>
                )}
                <span className="gol-Step-message">
                  {message ?? (state === 'asking' ? states.asking : '')}
                </span>
                {took_s !== undefined && took_s >= SLOW_S && (
                  <span className="gol-Step-took">
                    {formatDuration(took_s)}
                  </span>
                )}
              </p>
              {hint && <p className="gol-Step-hint">{hint}</p>}
              {fixes}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

export namespace StepList {
  /** `optional`: missing, and not needed. `asking` waits for the user. */
  export type State =
    | 'ok'
    | 'warning'
    | 'failed'
    | 'skipped'
    | 'optional'
    | 'running'
    | 'waiting'
    | 'asking';

  export interface IStep {
    step: string;
    title: string;
    state: State;
    message?: string;
    /** What to do. */
    hint?: string;
    took_s?: number;
    /** Buttons below the hint. */
    fixes?: React.ReactNode;
  }

  export interface IProps {
    label: string;
    steps: readonly IStep[];
    trans: TranslationBundle;
  }
}

function stateNames(trans: TranslationBundle): Record<StepList.State, string> {
  return {
    ok: trans.__('passed'),
    warning: trans.__('passed with a warning'),
    failed: trans.__('failed'),
    skipped: trans.__('skipped'),
    optional: trans.__('optional'),
    running: trans.__('running'),
    asking: trans.__('waiting for your answer'),
    waiting: trans.__('not started')
  };
}
