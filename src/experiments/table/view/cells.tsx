import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  RelativeTime,
  StatusBadge,
  formatDuration,
  formatMoment
} from '../../../core';
import { bestByName } from '../../../core/metric-names';
import { formatNumber } from '../../../core/format';
import { useSignalled } from '../../../core/ui/hooks';
import { DIVERGED, divergences } from '../../diverged';
import { EXTREMES, extreme } from '../../extremes';
import type { IRun } from '../../service';
import { Stalled } from '../../view/stalled';
import { statusWord } from '../../view/messages';
import type { IScale } from '../color-scales';
import { shareOf } from '../color-scales';
import { NAME, TIMES } from '../column-messages';
import type { RunTableModel } from '../model';
import { runColors } from '../run-color';
import type { CellValue, IRow } from '../rows';
import { valueOf } from '../rows';

import { MetricCell } from './metric-cell';

const METRICS = 'metrics.';
const PARAMS = 'params.';
/**
 * The strongest background, in percent: text on it stays readable in both
 * themes.
 */
const STRONGEST = 32;

/** A run's value in a column. */
export function CellContent(props: CellContent.IProps): React.ReactElement {
  const { row, column, trans } = props;
  const value = valueOf(row, column);
  if (value === undefined) {
    return <span className="gol-RunTable-skeleton" aria-hidden="true" />;
  }
  const own = props.model.subject.cell?.(row, column, value);
  if (own !== undefined) {
    return <>{own}</>;
  }
  if (column === NAME) {
    return (
      <NameCell
        row={row}
        value={value}
        indent={props.indent ?? 0}
        model={props.model}
        trans={trans}
      />
    );
  }
  if (value === null || value === '') {
    return (
      <span className="gol-RunTable-none">
        <span aria-hidden="true">–</span>
        <span className="gol-VisuallyHidden">{trans.__('no value')}</span>
      </span>
    );
  }
  if (column === 'status' && typeof value === 'string') {
    // The icon is in front of the name.
    const { tone, label } = statusWord(value as IRun['status'], trans);
    return <span className={`gol-RunTable-word gol-mod-${tone}`}>{label}</span>;
  }
  if (row.id && column.startsWith(METRICS)) {
    const metric = column.slice(METRICS.length);
    // MLflow's databases store infinity as the largest number.
    const infinite =
      typeof value === 'number' && Math.abs(value) >= Number.MAX_VALUE;
    const shown = infinite ? String(value * 2) : value;
    return (
      <MetricCell
        model={props.model}
        runId={row.id}
        metric={metric}
        value={shown}
        best={bestOf(row, metric, shown, props.model)}
        trans={trans}
      >
        {typeof shown === 'number' ? (
          figure(shown)
        ) : (
          <NotFinite row={row} metric={metric} value={shown} trans={trans} />
        )}
      </MetricCell>
    );
  }
  if (typeof value === 'number') {
    if (TIMES.includes(column)) {
      return <RelativeTime seconds={value} trans={trans} />;
    }
    if (column === 'duration') {
      return (
        <span title={trans.__('%1 seconds', value)}>
          {formatDuration(value)}
        </span>
      );
    }
    return <span title={String(value)}>{figure(value)}</span>;
  }
  return (
    <span title={value}>
      {column.startsWith(PARAMS) ? shortened(value) : value}
    </span>
  );
}

export namespace CellContent {
  export interface IProps {
    row: IRow;
    column: string;
    model: RunTableModel;
    /** Indent of a name in a group, in pixels. */
    indent?: number;
    trans: TranslationBundle;
  }
}

/** Return four significant digits, so that a column's digits line up. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value) || size < 1e-3 || size >= 1e4) {
    return formatNumber(value);
  }
  fourDigits ??= new Intl.NumberFormat(undefined, {
    minimumSignificantDigits: 4,
    maximumSignificantDigits: 4
  });
  return fourDigits.format(value);
}

let fourDigits: Intl.NumberFormat | undefined;

/**
 * Return the best value of a metric if it is not the last. Runs sorted with the
 * largest first show the highest (as `genops runs list` does), with the
 * smallest first the lowest; else the metric's name decides.
 */
function bestOf(
  row: IRow,
  metric: string,
  last: number | string,
  model: RunTableModel
): MetricCell.IBest | undefined {
  const tag = valueOf(row, `tags.${EXTREMES}`);
  const by = model.view.sort.find(({ column }) => column === METRICS + metric);
  const which = by ? (by.descending ? 'max' : 'min') : bestByName(metric);
  const found =
    which && typeof tag === 'string' ? extreme(tag, metric, which) : undefined;
  if (!which || !found) {
    return undefined;
  }
  const text = figure(found.value);
  // Values that others logged beside GenOps may be better.
  const isLast =
    typeof last === 'number' &&
    (which === 'max' ? last >= found.value : last <= found.value);
  return isLast || text === (typeof last === 'number' ? figure(last) : last)
    ? undefined
    : { which, text, ...found };
}

/**
 * Return a parameter's text; a fraction is rounded to four significant digits.
 */
function shortened(text: string): string {
  const digits = /^[-+]?(\d*\.\d*)(e[-+]?\d+)?$/i.exec(text)?.[1];
  const significant = digits?.replace('.', '').replace(/^0+/, '') ?? '';
  return significant.length > 4 ? formatNumber(Number(text)) : text;
}

/**
 * NaN or infinity: red with its first step; grey if it is only a start value.
 */
function NotFinite(props: {
  row: IRow;
  metric: string;
  value: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { row, metric, value, trans } = props;
  const tag = valueOf(row, `tags.${DIVERGED}`);
  const found = divergences(typeof tag === 'string' ? tag : '').find(
    each => each.metric === metric
  );
  if (!found && value !== 'NaN') {
    return <span className="gol-RunTable-quiet">{value}</span>;
  }
  return (
    <span
      className="gol-RunTable-diverged"
      title={
        found &&
        trans.__('%1 since step %2', value, found.step.toLocaleString())
      }
    >
      {found ? trans.__('%1 at %2', value, found.step.toLocaleString()) : value}
    </span>
  );
}

function isOwnMetric(column: string): boolean {
  return column.startsWith(METRICS) && !column.startsWith('metrics.system/');
}

function NameCell(props: {
  row: IRow;
  value: CellValue;
  indent: number;
  model: RunTableModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { row, value, trans } = props;
  const id = row.id ?? '';
  const name = value ? String(value) : id.slice(0, 8);
  const { tone, label } = statusWord(
    String(valueOf(row, 'status') ?? 'FINISHED') as IRun['status'],
    trans
  );
  return (
    <span
      className="gol-RunTable-name"
      style={{ paddingInlineStart: props.indent }}
    >
      <StatusBadge
        tone={tone}
        caption={label}
        label={<span className="gol-VisuallyHidden">{label}</span>}
      />
      <ColorDot runId={id} />
      <span className="gol-RunTable-text" title={name}>
        {name}
      </span>
      {valueOf(row, 'status') === 'RUNNING' && (
        <Stalled
          key={id}
          runId={id}
          logged={JSON.stringify(
            [...(row.columns?.keys() ?? [])]
              .filter(isOwnMetric)
              .map(column => valueOf(row, column))
          )}
          source={props.model}
          trans={trans}
        />
      )}
    </span>
  );
}

/** Alone drawn again for a new colour: the whole table would take as long as its first rows. */
function ColorDot({ runId }: { runId: string }): React.ReactElement {
  const background = useSignalled(runColors.changed, () => runColors.of(runId));
  return (
    <span
      className="gol-RunTable-dot"
      style={{ background }}
      aria-hidden="true"
    />
  );
}

/** Return the background for a number's size. */
export function heat(
  value: CellValue,
  scale: IScale | null
): string | undefined {
  return typeof value === 'number' && scale
    ? heatAt(shareOf(value, scale))
    : undefined;
}

/** Return the background for a place between the ends, 0 to 1. */
export function heatAt(share: number): string {
  const percent = Math.round(share * STRONGEST);
  return `color-mix(in srgb, var(--jp-brand-color1) ${percent}%, var(--gol-run-background))`;
}

/** Return the ends of a scale as text. */
export function scaleWords(
  column: string,
  { low, high }: IScale,
  trans: TranslationBundle
): string {
  const word = (value: number) =>
    column === 'duration'
      ? formatDuration(value)
      : TIMES.includes(column)
        ? formatMoment(value)
        : formatNumber(value);
  return trans.__(
    'Colour: pale is %1, strong is %2 (among the matching runs)',
    word(low),
    word(high)
  );
}
