import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { components } from '../../api/generated';
import { Field } from '../../core';
import { formatMoney } from '../../core/money';
import { NumberInput } from '../../core/ui/form-dialog';

type Schemas = components['schemas'];
export type ILimits = Pick<
  Schemas['NewOptimization'],
  'optimizer' | 'rounds' | 'held_out' | 'seed' | 'money'
>;

/** The optimizers by MLflow's own names. */
const OPTIMIZERS: readonly (readonly [
  name: ILimits['optimizer'],
  shown: string
])[] = [
  ['metaprompt', 'MetaPromptOptimizer'],
  ['gepa', 'GepaPromptOptimizer']
];

/** What a form begins with. */
export const LIMITS: ILimits = {
  optimizer: 'metaprompt',
  rounds: 2,
  held_out: 0.5,
  seed: 0,
  money: null
};

export function isComplete({ rounds, held_out }: ILimits): boolean {
  return rounds >= 1 && held_out > 0;
}

/** Which optimizer works, and what it may use. */
export function OptimizerFields(props: {
  limits: ILimits;
  /** The label of the number of texts. */
  texts: string;
  /** The label of the share that is held out. */
  heldOut: string;
  onChange: (limits: ILimits) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { limits, texts, heldOut, onChange, trans } = props;
  return (
    <div className="gol-Optimize-fields">
      <Field label={trans.__('Optimizer of MLflow')}>
        {control => (
          <select
            {...control}
            value={limits.optimizer}
            onChange={({ target }) =>
              onChange({
                ...limits,
                optimizer: OPTIMIZERS[target.selectedIndex][0]
              })
            }
          >
            {OPTIMIZERS.map(([name, shown]) => (
              <option key={name} value={name}>
                {shown}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={texts}>
        {control => (
          <NumberInput
            control={control}
            value={limits.rounds}
            step={1}
            max={50}
            onChange={rounds => onChange({ ...limits, rounds })}
          />
        )}
      </Field>
      <Field label={heldOut}>
        {control => (
          <NumberInput
            control={control}
            value={Math.round(100 * limits.held_out)}
            step={1}
            max={90}
            onChange={share => onChange({ ...limits, held_out: share / 100 })}
          />
        )}
      </Field>
      <Field
        label={trans.__('Budget (optional)')}
        help={trans.__('The most money of all calls')}
      >
        {control => (
          <NumberInput
            control={control}
            value={limits.money ?? NaN}
            onChange={money =>
              onChange({ ...limits, money: Number.isNaN(money) ? null : money })
            }
          />
        )}
      </Field>
    </div>
  );
}

export function ModelSelect(props: {
  label: string;
  help?: string;
  value: string;
  names: readonly string[];
  onChange: (name: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { label, help, value, names, onChange, trans } = props;
  return (
    <Field label={label} help={help}>
      {control => (
        <select
          {...control}
          value={value}
          onChange={({ target }) => onChange(target.value)}
        >
          <option value="">{trans.__('Choose a model')}</option>
          {names.map(name => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** The most that the calls of each purpose cost. */
export function CostParts(props: {
  parts: readonly Schemas['PlannedCalls'][];
  trans: TranslationBundle;
}): React.ReactElement {
  const { parts, trans } = props;
  return (
    <ul className="gol-Optimize-parts">
      {parts.map(({ model, calls, money, currency = 'USD' }) => (
        <li key={model}>
          {money === null
            ? trans._n('%2: %1 call', '%2: %1 calls', calls ?? 0, model)
            : trans._n(
                '%2: %1 call, at most %3',
                '%2: %1 calls, at most %3',
                calls ?? 0,
                model,
                formatMoney(money, currency, 'most')
              )}
        </li>
      ))}
    </ul>
  );
}
