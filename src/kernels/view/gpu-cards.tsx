import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Meter, formatBytesOf, formatPercent } from '../../core';
import { Callout } from '../../core/ui/callout';
import type { IGpu, IMachine } from '../service';

/**
 * A card per GPU; a machine without GPUs is normal, and unknown values are left
 * out.
 */
export function GpuCards(props: GpuCards.IProps): React.ReactElement {
  const { machine, trans } = props;
  if (machine.gpu_state === 'error') {
    return (
      <Callout
        tone="warning"
        title={trans.__('The GPU driver does not answer')}
      >
        {machine.gpu_message}
      </Callout>
    );
  }
  if (machine.gpus.length === 0) {
    return (
      <p className="gol-Compute-quiet" title={machine.gpu_message || undefined}>
        {trans.__('No GPU on this machine')}
      </p>
    );
  }
  return (
    <ul className="gol-Gpus" aria-label={trans.__('GPUs')}>
      {machine.gpus.map((gpu, place) => (
        <li key={place} className="gol-Gpu">
          <GpuCard gpu={gpu} trans={trans} />
        </li>
      ))}
    </ul>
  );
}

export namespace GpuCards {
  export interface IProps {
    machine: IMachine;
    trans: TranslationBundle;
  }
}

function GpuCard(props: {
  gpu: IGpu;
  trans: TranslationBundle;
}): React.ReactElement {
  const { gpu, trans } = props;
  const senses = [
    isNumber(gpu.temperature_c) && `${Math.round(gpu.temperature_c)} °C`,
    isNumber(gpu.power_w) && `${Math.round(gpu.power_w)} W`
  ].filter(Boolean);
  return (
    <>
      <div className="gol-Gpu-head">
        <span className="gol-Gpu-name" title={gpu.name}>
          {trans.__('GPU %1', gpu.index)} · {gpu.name}
        </span>
        {senses.length > 0 && (
          <span className="gol-Gpu-senses">{senses.join(' · ')}</span>
        )}
      </div>
      {isNumber(gpu.utilization_percent) && (
        <Meter
          label={trans.__('Busy')}
          value={gpu.utilization_percent}
          max={100}
          text={formatPercent(gpu.utilization_percent)}
        />
      )}
      {isNumber(gpu.memory_used_bytes) && isNumber(gpu.memory_total_bytes) && (
        <Meter
          label={trans.__('Memory')}
          value={gpu.memory_used_bytes}
          max={gpu.memory_total_bytes}
          text={formatBytesOf(gpu.memory_used_bytes, gpu.memory_total_bytes)}
        />
      )}
    </>
  );
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number';
}
