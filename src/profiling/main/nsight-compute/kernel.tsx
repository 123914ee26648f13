import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure, formatBytes } from '../../../core';
import { formatNumber } from '../../../core/format';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IDeviceTime, IMeasuredKernel } from '../../service';
import { deviceName } from '../parts';
import { PlaceLink } from '../place-link';
import type { IPlaces } from '../places';

import { BoundMark } from './columns';
import { AllMetrics } from './metrics';
import { Rules } from './rules';
import { stallReason } from './stalls';
import { boundSentence, occupancySentences, percent } from './messages';

/** Most stall reasons that are explained at once; the others are folded. */
const MOST_STALLS = 4;

/** The rule results and main metrics of one kernel. */
export function Kernel(props: Kernel.IProps): React.ReactElement {
  const { kernel, trans } = props;
  const id = React.useId();
  return (
    <section className="gol-Measured-kernel" aria-labelledby={id}>
      <h3 id={id}>{kernel.name}</h3>
      <Where {...props} />
      <div className="gol-Measured-parts">
        <Part title={trans.__('Speed of light')}>
          {kernel.bound && (
            <p className="gol-Measured-bound">
              {trans.__('Bound by')}{' '}
              <BoundMark bound={kernel.bound} trans={trans} />
            </p>
          )}
          <p>{boundSentence(kernel, trans)}</p>
          <Gauges
            label={trans.__('Percent of the device’s peak')}
            gauges={speeds(kernel, trans)}
          />
          <Rates kernel={kernel} trans={trans} />
        </Part>
        <Part title={trans.__('Occupancy')}>
          <Gauges
            label={trans.__('Occupancy')}
            gauges={occupancies(kernel, trans)}
          />
          {occupancySentences(kernel, trans).map(sentence => (
            <p key={sentence}>{sentence}</p>
          ))}
        </Part>
        <Part title={trans.__('Warp stalls')}>
          <Stalls kernel={kernel} trans={trans} />
        </Part>
        <Part title={trans.__('Suggested changes')} wide>
          <Rules key={kernel.longest} kernel={kernel} trans={trans} />
        </Part>
      </div>
      <AllMetrics
        kernel={kernel}
        ask={props.ask}
        seen={props.seen}
        trans={trans}
      />
    </section>
  );
}

export namespace Kernel {
  export interface IProps extends Pick<AllMetrics.IProps, 'ask' | 'seen'> {
    kernel: IMeasuredKernel;
    /** Total time of all measured kernels. */
    total_us: number;
    ranks: readonly number[];
    devices: readonly IDeviceTime[];
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    trans: TranslationBundle;
  }
}

function Part(props: {
  title: string;
  wide?: boolean;
  children: React.ReactNode;
}): React.ReactElement {
  const id = React.useId();
  return (
    <section
      className={`gol-Profile-part${props.wide ? ' gol-mod-wide' : ''}`}
      aria-labelledby={id}
    >
      <h4 id={id}>{props.title}</h4>
      {props.children}
    </section>
  );
}

/** Its line, its launches and their shape. */
function Where(props: Kernel.IProps): React.ReactElement {
  const { kernel, total_us, trans } = props;
  const { place, count, registers, shared_memory_bytes, waves } = kernel;
  const own = props.devices.find(
    ({ device, rank }) => device === kernel.device && rank === kernel.rank
  );
  const facts = [
    trans._n(
      '%2, %3 of all GPU kernels, in %1 launch',
      '%2, %3 of all GPU kernels, in %1 launches',
      count,
      formatMicroseconds(kernel.total_us),
      formatShare(kernel.total_us, total_us)
    ),
    count > 1
      ? trans.__('longest launch %1', formatMicroseconds(kernel.longest_us))
      : '',
    kernel.grid ? trans.__('grid %1, block %2', kernel.grid, kernel.block) : '',
    registers === null
      ? ''
      : trans.__('%1 registers per thread', formatNumber(registers)),
    shared_memory_bytes === null
      ? ''
      : trans.__(
          '%1 shared memory per block',
          formatBytes(shared_memory_bytes)
        ),
    waves === null ? '' : trans.__('%1 waves', formatNumber(waves)),
    [deviceName(kernel, props.ranks, trans), own?.model]
      .filter(Boolean)
      .join(', ')
  ].filter(Boolean);
  return (
    <>
      {place && (
        <p className="gol-Measured-line">
          <PlaceLink
            place={place}
            places={props.places}
            notebook={props.notebook}
            trans={trans}
          />
          {place.text.trim() && <code>{place.text.trim()}</code>}
        </p>
      )}
      <p className="gol-Profile-quiet">{facts.join('; ')}</p>
    </>
  );
}

function speeds(kernel: IMeasuredKernel, trans: TranslationBundle): IGauge[] {
  const hits = (pct: number | null) =>
    pct === null ? undefined : trans.__('hit rate %1', percent(pct));
  const gauges: (Omit<IGauge, 'pct'> & { pct: number | null })[] = [
    { id: 'compute', label: trans.__('Compute'), pct: kernel.compute_pct },
    {
      id: 'memory',
      label: trans.__('Memory'),
      pct: kernel.memory_pct,
      look: 'memory'
    },
    {
      id: 'l1',
      label: trans.__('L1 and shared memory'),
      pct: kernel.l1_pct,
      note: hits(kernel.l1_hit_pct),
      look: 'level'
    },
    {
      id: 'l2',
      label: trans.__('L2 cache'),
      pct: kernel.l2_pct,
      note: hits(kernel.l2_hit_pct),
      look: 'level'
    },
    {
      id: 'dram',
      label: trans.__('Device memory'),
      pct: kernel.dram_pct,
      look: 'level'
    }
  ];
  return gauges.flatMap(each =>
    each.pct === null ? [] : [{ ...each, pct: each.pct }]
  );
}

function occupancies(
  kernel: IMeasuredKernel,
  trans: TranslationBundle
): IGauge[] {
  const { occupancy_pct: reached, theoretical_occupancy_pct: most } = kernel;
  if (reached === null) {
    return most === null
      ? []
      : [{ id: 'most', label: trans.__('Theoretical'), pct: most }];
  }
  return [
    {
      id: 'reached',
      label: trans.__('Achieved'),
      pct: reached,
      ...(most === null
        ? {}
        : { most, note: trans.__('of %1 theoretical', percent(most)) })
    }
  ];
}

/** FLOP/s and bandwidth, if they are known. */
function Rates(props: {
  kernel: IMeasuredKernel;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { kernel, trans } = props;
  const { tflops, gb_per_s, flops, dram_bytes } = kernel;
  const facts = [
    tflops ? trans.__('%1 TFLOP/s', formatNumber(tflops)) : '',
    gb_per_s === null
      ? ''
      : trans.__('%1 GB/s of device memory', formatNumber(gb_per_s)),
    flops && dram_bytes
      ? trans.__('%1 FLOPs per byte', formatNumber(flops / dram_bytes))
      : ''
  ].filter(Boolean);
  return facts.length > 0 ? <p>{facts.join('; ')}</p> : null;
}

function Stalls(props: {
  kernel: IMeasuredKernel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { kernel, trans } = props;
  const gauges = kernel.stalls
    .filter(({ reason, pct }) => reason !== 'selected' && pct >= 0.05)
    .sort((one, other) => other.pct - one.pct)
    .map(({ reason, pct, cycles }): IGauge => {
      const { name, means } = stallReason(reason, trans);
      return {
        id: reason,
        label: name,
        pct,
        note: trans.__('%1 cycles', formatNumber(cycles)),
        means
      };
    });
  if (gauges.length === 0) {
    return (
      <p className="gol-Profile-quiet">
        {trans.__(
          'The report has no section “Warp State Statistics” (WarpStateStats), so warp stalls are not known.'
        )}
      </p>
    );
  }
  const rest = gauges.slice(MOST_STALLS);
  const label = trans.__('Cycles between two instructions of a warp');
  return (
    <>
      <Gauges label={label} gauges={gauges.slice(0, MOST_STALLS)} />
      {rest.length > 0 && (
        <Disclosure
          title={trans._n(
            '%1 more stall reason',
            '%1 more stall reasons',
            rest.length
          )}
          meta={percent(rest.reduce((sum, { pct }) => sum + pct, 0))}
        >
          <Gauges label={label} gauges={rest} />
        </Disclosure>
      )}
    </>
  );
}

/** A part in percent. */
interface IGauge {
  readonly id: string;
  readonly label: string;
  readonly pct: number;
  /** Drawn in memory's colour, or smaller as a part of it. */
  readonly look?: 'memory' | 'level';
  /** A note at the end of the row. */
  readonly note?: string;
  /** Text in place of the percentage. */
  readonly text?: string;
  /** A mark on the bar, in percent: the limit. */
  readonly most?: number;
  /** An explanation below the row. */
  readonly means?: string;
}

/** Bars in percent with text that says the same without the bars. */
function Gauges(props: {
  label: string;
  gauges: readonly IGauge[];
}): React.ReactElement {
  return (
    <ul className="gol-Gauges" aria-label={props.label}>
      {props.gauges.map(gauge => (
        <li key={gauge.id} className={gauge.look && `gol-mod-${gauge.look}`}>
          <span className="gol-Gauges-label">{gauge.label}</span>
          <span className="gol-Gauges-text">
            {gauge.text ?? percent(gauge.pct)}
            {gauge.note && (
              <span className="gol-Profile-quiet"> {gauge.note}</span>
            )}
          </span>
          <span className="gol-Gauges-bar" aria-hidden="true">
            <span style={{ width: `${inside(gauge.pct)}%` }} />
            {gauge.most !== undefined && (
              <i style={{ left: `${inside(gauge.most)}%` }} />
            )}
          </span>
          {gauge.means && <p className="gol-Profile-quiet">{gauge.means}</p>}
        </li>
      ))}
    </ul>
  );
}

function inside(pct: number): number {
  return Math.min(100, Math.max(0, pct));
}
