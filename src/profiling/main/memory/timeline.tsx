import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { readLook } from '../../../core/charts/look';
import type { ILook, IScene } from '../../../core/charts/scene';
import { savePng } from '../../../core/charts/files';
import {
  ActionButton,
  formatBytes,
  useScene,
  useRevision
} from '../../../core';
import { formatMicroseconds } from '../../figures';

import type { IBand } from './bands';
import type { MemoryModel } from './model';
import {
  bytesAt,
  innerWidth,
  lineAt,
  memoryPicture,
  pixelOf,
  placeAt
} from './picture';
import { momentWords, shortWords, siteWords } from './messages';

const HEIGHT_PX = 300;
const PNG_WIDTH = 1200;

/** The colour of a band by its position, or of memory without a band. */
export function bandColor(place: number): string {
  return `--gol-memory-${place < 0 ? 'others' : place}`;
}

/**
 * Memory in use over the recording as stacked lines; a click, a drag or a key
 * chooses a moment.
 */
export function MemoryTimeline(props: {
  model: MemoryModel;
  name: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, name, trans } = props;
  const [revision] = useRevision(model.changed);
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = React.useState(0);
  const [tip, setTip] = React.useState('');
  const { curve, lit } = model;

  const scene = (
    across: number,
    look: ILook,
    legend?: (band: IBand) => string
  ): IScene => {
    const style = getComputedStyle(canvas.current!);
    const read = (variable: string) =>
      style.getPropertyValue(variable).trim() || style.color;
    return memoryPicture({
      curve,
      width: across,
      height: HEIGHT_PX,
      look,
      colorOf: place => read(bandColor(place)),
      alarm: read('--jp-error-color1'),
      lit,
      when: x =>
        curve.byTime
          ? formatMicroseconds(x)
          : trans.__('Event %1', Math.round(x).toLocaleString()),
      words: { others: trans.__('All other lines') },
      legend
    });
  };
  useScene(
    canvas,
    React.useCallback(
      (across, look) => {
        setWidth(across);
        return scene(across, look);
      },
      [curve, lit]
    )
  );

  const inner = innerWidth(width);
  const place = (event: React.PointerEvent) => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top] as const;
  };
  const look = (event: React.PointerEvent) =>
    model.lookAtPlace(placeAt(curve, inner, place(event)[0]));
  const now = trans.__(
    '%1: %2 in use',
    momentWords(
      model.at,
      model.moment?.at === model.at
        ? model.moment.us
        : curve.byTime
          ? model.place
          : null,
      trans
    ),
    formatBytes(model.shownBytes)
  );
  return (
    <div className="gol-Memory-timeline">
      <div
        className="gol-Memory-picture"
        role="slider"
        tabIndex={0}
        aria-label={trans.__('Moment, %1', name)}
        aria-valuemin={0}
        aria-valuemax={curve.moments - 1}
        aria-valuenow={model.at}
        aria-valuetext={now}
        title={tip}
        onKeyDown={event => {
          if (
            !event.ctrlKey &&
            !event.metaKey &&
            !event.altKey &&
            model.press(event.key)
          ) {
            event.preventDefault();
            event.stopPropagation();
          }
        }}
        onPointerDown={event => {
          if (event.button === 0) {
            event.currentTarget.setPointerCapture(event.pointerId);
            look(event);
          }
        }}
        onPointerMove={event => {
          if (event.buttons & 1) {
            look(event);
            return;
          }
          const [x, y] = place(event);
          const at = placeAt(curve, inner, x);
          const line = lineAt(curve, at, bytesAt(curve, HEIGHT_PX, y));
          const band = curve.bands.find(each => each.line === line);
          model.point(line);
          setTip(band ? siteWords(band.site, trans) : '');
        }}
        onPointerLeave={() => model.point(null)}
      >
        <canvas ref={canvas} aria-hidden="true" />
        {width > 0 && (
          <div
            className="gol-Memory-cursor"
            aria-hidden="true"
            data-revision={revision}
            style={{ left: `${pixelOf(curve, inner, model.at)}px` }}
          />
        )}
      </div>
      <div className="gol-Memory-bar">
        <ActionButton
          label={trans.__('Peak')}
          caption={trans.__('Go to the peak: %1', formatBytes(curve.peak))}
          onClick={() => model.look(curve.peakAt)}
        />
        {curve.failures.slice(-MOST_FAILURES).map((moment, place) => (
          <ActionButton
            key={moment}
            label={
              curve.failures.length > 1
                ? trans.__('Out of memory %1', place + 1)
                : trans.__('Out of memory')
            }
            caption={trans.__(
              'Go to the failed allocation: %1',
              momentWords(moment, null, trans)
            )}
            onClick={() => model.look(moment)}
          />
        ))}
        <span className="gol-Profile-space" />
        <ActionButton
          label={trans.__('Zoom in')}
          caption={trans.__('Show a shorter period around the moment (+)')}
          onClick={() => model.zoom(0.5)}
        />
        <ActionButton
          label={trans.__('Zoom out')}
          caption={trans.__('Show a longer period around the moment (-)')}
          disabled={model.isWhole}
          onClick={() => model.zoom(2)}
        />
        <ActionButton
          label={trans.__('Whole recording')}
          caption={trans.__('Show the whole recording (0)')}
          disabled={model.isWhole}
          onClick={() => model.showAll()}
        />
        <ActionButton
          label={trans.__('PNG')}
          caption={trans.__('Save the chart as a PNG image')}
          onClick={() => {
            const theme = readLook(canvas.current!);
            void savePng(
              scene(PNG_WIDTH, theme, ({ site }) => shortWords(site, trans)),
              theme,
              trans.__('Memory, %1', name)
            );
          }}
        />
      </div>
      <p className="gol-Profile-quiet gol-Memory-help">
        {curve.reserved.length > 0
          ? trans.__(
              'Colours: the lines with the highest peaks; grey: all others. Dashed: reserved memory. Click or drag to choose a moment; arrow keys move between points, + and - zoom, 0 shows all.'
            )
          : trans.__(
              'Colours: the lines with the highest peaks; grey: all others. Click or drag to choose a moment; arrow keys move between points, + and - zoom, 0 shows all.'
            )}
      </p>
    </div>
  );
}

/**
 * More buttons are not useful; all failures are listed above, and marked in the
 * picture.
 */
const MOST_FAILURES = 4;
