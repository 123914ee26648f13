import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { placeAt } from '../steps';

/** Goes through the steps of which something was kept: by mouse, by the arrow keys, Home and End. */
export function StepSlider(
  props: StepSlider.IProps
): React.ReactElement | null {
  const { steps, step, onChange, trans } = props;
  const id = React.useId();
  if (steps.length < 2) {
    return null;
  }
  const place = placeAt(
    steps.map(each => ({ step: each })),
    step
  );
  return (
    <div className="gol-Media-slider">
      <label htmlFor={id}>{trans.__('Step')}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={steps.length - 1}
        step={1}
        value={place}
        aria-valuetext={trans.__('step %1', steps[place])}
        onChange={event => onChange(steps[Number(event.target.value)])}
      />
      <output htmlFor={id}>{steps[place].toLocaleString()}</output>
    </div>
  );
}

export namespace StepSlider {
  export interface IProps {
    /** In their order, each once. */
    steps: readonly number[];
    step: number;
    onChange: (step: number) => void;
    trans: TranslationBundle;
  }
}
