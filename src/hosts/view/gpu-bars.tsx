import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatBytes, formatPercent } from '../../core';

import type { IHostGpu, IHostReading } from '../service';

import '../../../style/hosts/targets.css';

/**
 * One line per GPU: its memory in use and its utilization. A driver's failure
 * is shown; a host without GPUs shows nothing.
 */
export function GpuBars(props: {
  reading: IHostReading;
  trans: TranslationBundle;
}): React.ReactElement {
  const { reading, trans } = props;
  if (reading.gpu_state === 'error') {
    return (
      <p className="gol-Note">
        {trans.__('The GPU driver does not answer: %1', reading.gpu_message)}
      </p>
    );
  }
  return (
    <>
      {reading.gpus.map(gpu => (
        <Bar
          key={gpu.index}
          label={trans.__('GPU %1', gpu.index)}
          caption={gpu.name}
          used={gpu.memory_used_bytes}
          total={gpu.memory_total_bytes}
          text={memoryText(gpu)}
          aside={
            gpu.utilization_percent !== null
              ? formatPercent(gpu.utilization_percent)
              : gpu.mig.length > 0
                ? trans.__('MIG')
                : ''
          }
          asideLabel={
            gpu.utilization_percent !== null
              ? trans.__('busy')
              : trans._n('%1 slice', '%1 slices', gpu.mig.length)
          }
        />
      ))}
    </>
  );
}

/** CPU and memory of a host, a line each. */
export function HostBars(props: {
  reading: IHostReading;
  trans: TranslationBundle;
}): React.ReactElement {
  const { reading, trans } = props;
  const {
    cpu_percent: cpu,
    cpu_count: count,
    memory_used_bytes: used,
    memory_total_bytes: total
  } = reading;
  return (
    <>
      {cpu !== null && (
        <Bar
          label={trans.__('CPU')}
          used={cpu}
          total={100}
          text={
            count === null
              ? ''
              : trans._n('%1 core', '%1 cores', Math.ceil(count))
          }
          aside={formatPercent(cpu)}
          asideLabel={trans.__('busy')}
        />
      )}
      {used !== null && total !== null && (
        <Bar
          label={trans.__('Memory')}
          used={used}
          total={total}
          scarce
          text={shortBytesOf(used, total)}
          aside={total > 0 ? formatPercent((100 * used) / total) : ''}
          asideLabel={trans.__('used')}
        />
      )}
    </>
  );
}

/**
 * What the bars leave out: names, temperature, power, slices, and the processes
 * on a GPU.
 */
export function GpuDetails(props: {
  gpu: IHostGpu;
  trans: TranslationBundle;
}): React.ReactElement {
  const { gpu, trans } = props;
  const senses = [
    gpu.temperature_c !== null && `${Math.round(gpu.temperature_c)} °C`,
    gpu.power_w !== null && `${Math.round(gpu.power_w)} W`
  ].filter(Boolean);
  return (
    <div className="gol-GpuDetails">
      <div className="gol-GpuDetails-head">
        <span className="gol-GpuDetails-name" title={gpu.name}>
          {trans.__('GPU %1', gpu.index)}
          {gpu.name && ` · ${gpu.name}`}
        </span>
        <span className="gol-GpuDetails-senses">{senses.join(' · ')}</span>
      </div>
      {gpu.mig.length > 0 && (
        <ul className="gol-GpuDetails-list" aria-label={trans.__('Slices')}>
          {gpu.mig.map((slice, index) => (
            <li key={slice.uuid || index}>
              <span title={slice.uuid}>
                {trans.__('slice %1', slice.profile || String(index))}
              </span>
              <span>{memoryText(slice)}</span>
            </li>
          ))}
        </ul>
      )}
      {gpu.processes.length > 0 && (
        <ul
          className="gol-GpuDetails-list"
          aria-label={trans.__('Processes on GPU %1', gpu.index)}
        >
          {gpu.processes.map(({ pid, user, memory_bytes }) => (
            <li key={pid}>
              <span>
                {user
                  ? trans.__('%1, process %2', user, String(pid))
                  : trans.__('process %1', String(pid))}
              </span>
              <span>
                {memory_bytes === null ? '' : formatBytes(memory_bytes)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Bar(props: {
  label: string;
  caption?: string;
  used: number | null;
  total: number | null;
  text: string;
  aside: string;
  asideLabel: string;
  scarce?: boolean;
}): React.ReactElement {
  const { label, used, total, text, aside } = props;
  const share =
    used !== null && total ? Math.min(1, Math.max(0, used / total)) : null;
  const level =
    props.scarce && share !== null && share >= 0.9 ? 'high' : 'normal';
  const spoken = [text, aside && `${aside} ${props.asideLabel}`]
    .filter(Boolean)
    .join(', ');
  return (
    <div
      className={`gol-Bar gol-mod-${level}`}
      title={[props.caption, spoken].filter(Boolean).join('\n')}
    >
      <span className="gol-Bar-label">{label}</span>
      <span
        className="gol-Bar-track"
        role="meter"
        aria-label={props.caption ? `${label} ${props.caption}` : label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round((share ?? 0) * 100)}
        aria-valuetext={spoken}
      >
        <span style={{ width: `${((share ?? 0) * 100).toFixed(1)}%` }} />
      </span>
      <span className="gol-Bar-text" aria-hidden="true">
        {text}
      </span>
      <span className="gol-Bar-aside" aria-hidden="true">
        {aside}
      </span>
    </div>
  );
}

/** `61/80 GiB`: both numbers in the unit of the total, as short as possible. */
export function shortBytesOf(used: number, total: number): string {
  const whole = formatBytes(total);
  const unit = whole.slice(whole.indexOf(' ') + 1);
  const scale = total > 0 ? total / parseFloat(whole) : 1;
  const figure = (bytes: number) => {
    const value = bytes / scale;
    return value.toFixed(value < 9.95 && value > 0 ? 1 : 0);
  };
  return `${figure(used)}/${figure(total)} ${unit}`;
}

function memoryText(of: {
  memory_used_bytes: number | null;
  memory_total_bytes: number | null;
}): string {
  const { memory_used_bytes: used, memory_total_bytes: total } = of;
  if (used !== null && total !== null) {
    return shortBytesOf(used, total);
  }
  return total !== null ? formatBytes(total) : '';
}
