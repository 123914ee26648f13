import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  Meter,
  Sparkline,
  formatBytes,
  formatBytesOf,
  formatPercent
} from '../../core';
import { formatNumber } from '../../core/format';
import type { IHistory } from '../model';
import { HISTORY } from '../model';
import type { IMachine } from '../service';

/** The machine's name, and the use of its CPU, memory and disk. */
export function MachineCard(props: MachineCard.IProps): React.ReactElement {
  const { machine, history, trans } = props;
  const cores = trans._n(
    '%1 core',
    '%1 cores',
    Math.ceil(machine.cpu_count),
    formatNumber(machine.cpu_count)
  );
  const used = machine.disk_total_bytes - machine.disk_free_bytes;
  return (
    <section
      className="gol-Machine"
      aria-label={trans.__('This machine: %1', machine.name)}
    >
      <div className="gol-Machine-head">
        <span className="gol-Machine-name" title={machine.name}>
          {machine.name}
        </span>
        <span className="gol-Machine-platform" title={machine.platform}>
          {machine.platform}
        </span>
      </div>
      <div className="gol-Machine-cpu" title={machine.cpu_model || undefined}>
        {machine.cpu_model ? `${cores} · ${machine.cpu_model}` : cores}
      </div>
      <Meter
        label={trans.__('CPU')}
        value={machine.cpu_percent}
        max={100}
        text={formatPercent(machine.cpu_percent)}
        caption={trans.__(
          'CPU: %1 of %2',
          formatPercent(machine.cpu_percent),
          cores
        )}
      >
        <Sparkline values={history.cpu} max={100} capacity={HISTORY} />
      </Meter>
      <Meter
        label={trans.__('Memory')}
        value={machine.memory_used_bytes}
        max={machine.memory_total_bytes}
        scarce
        text={formatBytesOf(
          machine.memory_used_bytes,
          machine.memory_total_bytes
        )}
        caption={trans.__(
          'Memory: %1 free',
          formatBytes(machine.memory_total_bytes - machine.memory_used_bytes)
        )}
      >
        <Sparkline values={history.memory} max={100} capacity={HISTORY} />
      </Meter>
      {machine.disk_total_bytes > 0 && (
        <Meter
          label={trans.__('Disk')}
          value={used}
          max={machine.disk_total_bytes}
          scarce
          text={formatBytesOf(used, machine.disk_total_bytes)}
          caption={trans.__(
            'Disk: %1 free',
            formatBytes(machine.disk_free_bytes)
          )}
        />
      )}
    </section>
  );
}

export namespace MachineCard {
  export interface IProps {
    machine: IMachine;
    history: IHistory;
    trans: TranslationBundle;
  }
}
