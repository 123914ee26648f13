import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure, formatBytesOf, formatPercent } from '../../core';
import type { IMachine } from '../service';

/** The figures of this machine in one line, and all of them below it once it is opened. */
export function MachineLine(props: {
  machine: IMachine;
  trans: TranslationBundle;
  children: React.ReactNode;
}): React.ReactElement {
  const { machine, trans, children } = props;
  const figures = machineFigures(machine, trans);
  return (
    <Disclosure
      tip={figures.map(({ name, whole }) => `${name}: ${whole}`).join('\n')}
      title={
        <span className="gol-MachineLine">
          <span className="gol-VisuallyHidden">
            {trans.__('This machine:')}
          </span>
          {figures.map(({ name, short, tone }) => (
            <span
              key={name}
              className={`gol-MachineLine-figure gol-mod-${tone}`}
            >
              {name} <b>{short}</b>
            </span>
          ))}
        </span>
      }
    >
      {children}
    </Disclosure>
  );
}

interface IFigure {
  readonly name: string;
  /** `42 %` */
  readonly short: string;
  /** `3.1 / 7.8 GiB` */
  readonly whole: string;
  readonly tone: 'normal' | 'full';
}

/** From this share on memory and disk are short. */
const FULL = 0.9;

function machineFigures(
  machine: IMachine,
  trans: TranslationBundle
): IFigure[] {
  const share = (name: string, used: number, total: number): IFigure => ({
    name,
    short: formatPercent((100 * used) / Math.max(1, total)),
    whole: formatBytesOf(used, total),
    tone: used >= FULL * total ? 'full' : 'normal'
  });
  const busy = (name: string, percent: number): IFigure => ({
    name,
    short: formatPercent(percent),
    whole: formatPercent(percent),
    tone: 'normal'
  });
  const { disk_total_bytes: disk } = machine;
  const figures = [
    busy(trans.__('CPU'), machine.cpu_percent),
    share(
      trans.__('Mem'),
      machine.memory_used_bytes,
      machine.memory_total_bytes
    ),
    ...gpuFigure(machine, trans),
    ...(disk > 0
      ? [share(trans.__('Disk'), disk - machine.disk_free_bytes, disk)]
      : [])
  ];
  // A narrow line cuts its end: what is short comes first.
  return [
    ...figures.filter(({ tone }) => tone === 'full'),
    ...figures.filter(({ tone }) => tone !== 'full')
  ];
}

/** All GPUs in one figure; none on a machine without one. */
function gpuFigure(machine: IMachine, trans: TranslationBundle): IFigure[] {
  const { gpus, gpu_state: state } = machine;
  const name =
    gpus.length > 1 ? trans.__('%1 GPUs', gpus.length) : trans.__('GPU');
  if (state === 'error') {
    const whole = machine.gpu_message;
    return [{ name, short: trans.__('no answer'), whole, tone: 'full' }];
  }
  const busy = gpus
    .map(each => each.utilization_percent)
    .filter(each => each !== null);
  if (busy.length === 0) {
    return [];
  }
  const mean = busy.reduce((sum, each) => sum + each, 0) / busy.length;
  return [
    {
      name,
      short: formatPercent(mean),
      whole: gpus.map(each => each.name).join(', '),
      tone: 'normal'
    }
  ];
}
