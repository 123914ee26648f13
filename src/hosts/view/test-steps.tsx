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

import { ActionButton, CopyButton, formatDuration } from '../../core';
import type { Callout } from '../../core';

import type { AddTarget } from '../add';
import { declaredWords } from '../messages';
import type { IQuestion, IReportStep } from '../service';

type State = IReportStep['state'] | 'running' | 'waiting' | 'asking';

const ORDER: readonly IReportStep['step'][] = [
  'reachable',
  'host_key',
  'login',
  'python',
  'agent',
  'ipykernel',
  'mlflow',
  'gpu',
  'disk',
  'clock',
  'logout'
];

const ICONS: Record<State, LabIcon> = {
  ok: checkIcon,
  warning: notTrustedIcon,
  failed: errorIcon,
  skipped: circleEmptyIcon,
  optional: infoIcon,
  running: runningIcon,
  asking: notTrustedIcon,
  waiting: circleEmptyIcon
};

const TONES: Record<State, string> = {
  ok: 'ok',
  warning: 'warning',
  failed: 'error',
  skipped: 'idle',
  optional: 'idle',
  running: 'busy',
  asking: 'warning',
  waiting: 'idle'
};

/** The steps of a test: those done with what was found, the one that is done now, those to come. */
export function TestSteps(props: {
  model: AddTarget;
  /** What waits for the person's answer. */
  asks: IQuestion['kind'] | undefined;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, asks, trans } = props;
  const names = stepNames(model, trans);
  const order = stepOrder(model);
  const states = stateNames(trans);
  const done = new Map(model.steps.map(step => [step.step, step]));
  const isOver = model.stage === 'tested';
  const next = order.find(step => !done.has(step));
  const asking = asks && (asks === 'host_key' ? 'host_key' : 'login');
  // The steps of a connection are told together, at its end: what asks has the ones before it behind it.
  const behind = asking ? order.slice(0, order.indexOf(asking)) : [];
  // What was not reached is not shown once nothing comes any more.
  const shown = isOver ? order.filter(step => done.has(step)) : order;
  return (
    <ol
      className="gol-Steps"
      aria-label={trans.__('Steps of the test of %1', model.name)}
      aria-live="polite"
      aria-relevant="additions text"
    >
      {shown.map(step => {
        const found = done.get(step);
        const state: State =
          found?.state ??
          (step === asking
            ? 'asking'
            : behind.includes(step)
              ? 'ok'
              : step === next
                ? 'running'
                : 'waiting');
        const Icon = ICONS[state];
        return (
          <li
            key={step}
            className={`gol-Step gol-mod-${state} gol-StatusBadge gol-mod-${TONES[state]}`}
          >
            <Icon.react tag="span" className="gol-Icon" />
            <div className="gol-Step-text">
              <p className="gol-Step-head">
                <span className="gol-Step-name">{names[step] ?? step}</span>
                {state !== 'asking' && (
                  <span className="gol-VisuallyHidden">{states[state]}</span>
                )}
                <span className="gol-Step-message">
                  {found?.message ?? (state === 'asking' ? states.asking : '')}
                </span>
                {found && found.took_s >= SLOW_S && (
                  <span className="gol-Step-took">
                    {formatDuration(found.took_s)}
                  </span>
                )}
              </p>
              {found?.hint && <p className="gol-Step-hint">{found.hint}</p>}
              {found && isOver && (
                <StepFixes step={found} model={model} trans={trans} />
              )}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

/** What can be done about a step from here. */
function StepFixes(props: {
  step: IReportStep;
  model: AddTarget;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { step, model, trans } = props;
  const addition = step.step === 'mlflow' ? 'mlflow' : 'ipykernel';
  const command = step.commands[step.commands.length - 1];
  const isDone = step.fixes.includes('install');
  if (step.fixes.length === 0 && !command) {
    return null;
  }
  return (
    <div className="gol-Step-fixes">
      {step.fixes.includes('build') && (
        <ActionButton
          label={trans.__('Build an environment there…')}
          caption={trans.__('With uv, or pip where there is no uv')}
          onClick={() => void model.build.choose()}
          primary
        />
      )}
      {step.fixes.includes('install') && (
        <ActionButton
          label={trans.__('Install %1', addition)}
          caption={trans.__('Into the environment that is there')}
          onClick={() => void model.build.install([addition])}
        />
      )}
      {command && !isDone && (
        <CopyButton
          text={command}
          label={command}
          word={trans.__('Copy the command')}
          trans={trans}
        />
      )}
    </div>
  );
}

/** From when on the time of a step is worth a word, in seconds. */
const SLOW_S = 1;

/** How a test ended, as a message. */
export function outcomeWords(
  model: AddTarget,
  trans: TranslationBundle
): { tone: Callout.Tone; title: string; children?: string } {
  const { name } = model;
  switch (model.outcome) {
    case 'ok':
      return {
        tone: 'ok',
        title: trans.__('“%1” is ready.', name),
        children: trans.__(
          'It is in the launcher and in the list of kernels now.'
        )
      };
    case 'warning':
      return {
        tone: 'warning',
        title: trans.__('“%1” works, with what is said above.', name)
      };
    case 'cancelled':
      return { tone: 'warning', title: trans.__('The test was cancelled.') };
    default:
      return {
        tone: 'error',
        title: trans.__('“%1” cannot run kernels yet.', name),
        children: trans.__('What to do stands at the step that failed.')
      };
  }
}

/** The steps of the target's kind, then those of all kinds. */
function stepOrder(model: AddTarget): readonly string[] {
  const told = model.steps.map(({ step }) => step);
  const own = model.kind.steps.map(({ name }) => name);
  const others = told.filter(step => !ORDER.includes(step));
  const first = own.length ? own : others;
  return first.length
    ? [...first, ...ORDER.slice(ORDER.indexOf('python'))]
    : ORDER;
}

function stepNames(
  model: AddTarget,
  trans: TranslationBundle
): Record<string, string> {
  return {
    ...Object.fromEntries(
      model.kind.steps.map(({ name, label }) => [
        name,
        declaredWords(label, trans)
      ])
    ),
    reachable: trans.__('Reachable'),
    host_key: trans.__('Host key'),
    login: trans.__('Login'),
    python: trans.__('Python'),
    agent: trans.__('Agent'),
    ipykernel: trans.__('ipykernel'),
    mlflow: trans.__('mlflow'),
    gpu: trans.__('GPU'),
    disk: trans.__('Disk'),
    clock: trans.__('Clock'),
    logout: trans.__('Logout')
  };
}

function stateNames(trans: TranslationBundle): Record<State, string> {
  return {
    ok: trans.__('well'),
    warning: trans.__('with a warning'),
    failed: trans.__('failed'),
    skipped: trans.__('skipped'),
    optional: trans.__('optional'),
    running: trans.__('under way'),
    asking: trans.__('waits for your answer'),
    waiting: trans.__('to come')
  };
}
