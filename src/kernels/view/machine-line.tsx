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
            <span key={name} className={`gol-MachineLine-figure gol-mod-${tone}`}>
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
  const utilised = machine.gpus
    .map(each => each.utilization_percent)
    .filter(each => each !== null);
  return [
    busy(trans.__('CPU'), machine.cpu_percent),
    share(
      trans.__('Mem'),
      machine.memory_used_bytes,
      machine.memory_total_bytes
    ),
    ...(disk > 0
      ? [share(trans.__('Disk'), disk - machine.disk_free_bytes, disk)]
      : []),
    ...(machine.gpu_state === 'error'
      ? [
          {
            name: trans.__('GPU'),
            short: trans.__('no answer'),
            whole: machine.gpu_message,
            tone: 'full' as const
          }
        ]
      : utilised.length > 0
        ? [
            busy(
              machine.gpus.length > 1
                ? trans.__('%1 GPUs', machine.gpus.length)
                : trans.__('GPU'),
              utilised.reduce((sum, each) => sum + each, 0) / utilised.length
            )
          ]
        : machine.gpus.length > 0
          ? [
              {
                name: trans.__('GPU'),
                short: String(machine.gpus.length),
                whole: machine.gpus.map(({ name }) => name).join(', '),
                tone: 'normal' as const
              }
            ]
          : [])
  ];
}
