import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, CopyButton } from '../../core';
import type { Callout } from '../../core';
import { StepList } from '../../core/ui/step-list';

import type { AddTarget } from '../add';
import { declaredWords } from '../messages';
import type { IQuestion, IReportStep } from '../service';

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

/**
 * The steps of a test: finished ones with their results, the running one, and
 * those not started.
 */
export function TestSteps(props: {
  model: AddTarget;
  /** The kind of the question that waits for the user's answer. */
  asks: IQuestion['kind'] | undefined;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, asks, trans } = props;
  const names = stepNames(model, trans);
  const order = stepOrder(model);
  const done = new Map(model.steps.map(step => [step.step, step]));
  const isOver = model.stage === 'tested';
  const next = order.find(step => !done.has(step));
  const asking = asks && (asks === 'host_key' ? 'host_key' : 'login');
  // The steps of a connection are reported together at its end: the steps
  // before the asking one are done.
  const behind = asking ? order.slice(0, order.indexOf(asking)) : [];
  // Steps that were not reached are hidden once the test is over.
  const shown = isOver ? order.filter(step => done.has(step)) : order;
  return (
    <StepList
      label={trans.__('Steps of the test of %1', model.name)}
      steps={shown.map(step => {
        const found = done.get(step);
        const state: StepList.State =
          found?.state ??
          (step === asking
            ? 'asking'
            : behind.includes(step)
              ? 'ok'
              : step === next
                ? 'running'
                : 'waiting');
        return {
          step,
          title: names[step] ?? step,
          state,
          message: found?.message,
          hint: found?.hint,
          took_s: found?.took_s,
          fixes: found && isOver && (
            <StepFixes step={found} model={model} trans={trans} />
          )
        };
      })}
      trans={trans}
    />
  );
}

/** The fixes of a step that can be started here. */
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
          label={trans.__('Build an environment…')}
          caption={trans.__('With uv, or with pip where the host has no uv')}
          onClick={() => void model.build.choose()}
          primary
        />
      )}
      {step.fixes.includes('install') && (
        <ActionButton
          label={trans.__('Install %1', addition)}
          caption={trans.__('Install into the present environment')}
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

/** The result of a test as a message. */
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
        children: trans.__('The launcher and the list of kernels show it now.')
      };
    case 'warning':
      return {
        tone: 'warning',
        title: trans.__('“%1” works, with the warnings above.', name)
      };
    case 'cancelled':
      return { tone: 'warning', title: trans.__('The test was cancelled.') };
    default:
      return {
        tone: 'error',
        title: trans.__('“%1” cannot run kernels yet.', name),
        children: trans.__('The failed step says what to do.')
      };
  }
}

/** The steps of the target's kind, then those of all kinds. */
function stepOrder(model: AddTarget): readonly string[] {
  const steps = model.steps.map(({ step }) => step);
  const own = model.kind.steps.map(({ name }) => name);
  const others = steps.filter(step => !ORDER.includes(step));
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
