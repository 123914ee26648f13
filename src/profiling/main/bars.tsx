import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { readLook } from '../../core/charts/look';
import { savePng } from '../../core/charts/files';
import { ActionButton, DataTable, useScene } from '../../core';
import type { ILook } from '../../core/charts/scene';
import { formatMicroseconds, formatShare } from '../figures';

import type { IBar } from './parts';
import type { IBarsPicture } from './picture';
import { barsPicture, lengthOf, partAt, partsShown } from './picture';

const PNG_WIDTH = 900;

/** Stacked bars on one scale, with their figures as a table. */
export function Bars(props: Bars.IProps): React.ReactElement {
  const { title, bars, trans } = props;
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const drawn = React.useRef<IBarsPicture['parts']>([]);
  const [tip, setTip] = React.useState('');
  const parts = partsShown(bars);

  const made = (width: number, look: ILook, legend = false) =>
    barsPicture({
      bars,
      width,
      look,
      colorOf: colorsAt(canvas.current!),
      legend
    });
  useScene(
    canvas,
    React.useCallback(
      (width, look) => {
        const { parts, scene } = made(width, look);
        drawn.current = parts;
        return scene;
      },
      [bars]
    )
  );
  const save = () => {
    const look = readLook(canvas.current!);
    void savePng(made(PNG_WIDTH, look, true).scene, look, title);
  };

  return (
    <figure className="gol-TimeBars" aria-label={title}>
      <div className="gol-TimeBars-host">
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${title}: ${bars.map(sentence).join('; ')}`}
          title={tip}
          onMouseMove={({ nativeEvent: { offsetX, offsetY } }) => {
            const at = partAt(drawn.current, offsetX, offsetY);
            setTip(
              at
                ? `${at.bar.label}\n${at.part.label}: ${formatMicroseconds(at.part.us)} (${formatShare(at.part.us, lengthOf(at.bar))})`
                : ''
            );
          }}
        />
      </div>
      <figcaption className="gol-TimeBars-foot">
        <ul className="gol-TimeBars-legend" aria-hidden="true">
          {parts.map(part => (
            <li key={part.id}>
              <span style={{ background: `var(--gol-part-${part.id})` }} />
              {bars.length === 1
                ? `${part.label} ${formatShare(part.us, lengthOf(bars[0]))}`
                : part.label}
            </li>
          ))}
        </ul>
        <ActionButton
          label={trans.__('PNG')}
          caption={trans.__('Save “%1” as a PNG image', title)}
          onClick={save}
        />
      </figcaption>
      <details className="gol-TimeBars-figures">
        <summary>{trans.__('Figures')}</summary>
        <DataTable
          caption={title}
          region="gol-Profile-scroll"
          className="gol-Profile-table"
          rows={bars}
          rowKey={({ label }) => label}
          columns={[
            {
              id: '',
              title: props.first,
              isHead: true,
              cell: ({ label }) => label
            },
            ...parts.map(({ id, label }) => ({
              id,
              title: label,
              cell: (bar: IBar) => {
                const us = bar.parts.find(part => part.id === id)?.us ?? 0;
                return (
                  <>
                    {formatMicroseconds(us)}{' '}
                    <span className="gol-Profile-quiet">
                      {formatShare(us, lengthOf(bar))}
                    </span>
                  </>
                );
              }
            })),
            {
              id: 'all',
              title: trans.__('All'),
              cell: bar => formatMicroseconds(lengthOf(bar))
            }
          ]}
        />
      </details>
    </figure>
  );
}

export namespace Bars {
  export interface IProps {
    title: string;
    bars: readonly IBar[];
    /** The head of the table's first column, such as "Device". */
    first: string;
    trans: TranslationBundle;
  }
}

function colorsAt(node: HTMLElement): (part: string) => string {
  const style = getComputedStyle(node);
  return part =>
    style.getPropertyValue(`--gol-part-${part}`).trim() || style.color;
}

function sentence(bar: IBar): string {
  const words = bar.parts.map(
    part => `${part.label} ${formatShare(part.us, lengthOf(bar))}`
  );
  return `${bar.label}: ${words.join(', ')}`;
}
