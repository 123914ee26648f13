import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ApiError, IconButton, formatBytes } from '../../../core';
import { onThemeChange } from '../../../core/charts/look';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IMemoryMoment } from '../../main/memory/service';
import { shortWords, siteWords } from '../../main/memory/messages';
import type { IDeviceMemory, IMemoryAt } from '../memory-strip';
import { memoryInUse, outlineIn } from '../memory-strip';
import type { TimelineModel } from '../model';
import type { IViewport } from '../viewport';

const HEIGHT_PX = 44;
/** Lines shown for a moment; the memory view has all. */
const TOLD_LINES = 6;

/**
 * Memory of a device below the lanes, which pans and zooms with them. A click
 * shows memory by owner.
 */
export function MemoryStrip(props: {
  device: IDeviceMemory;
  /** Number of the device in the profile. */
  number: number;
  /** Rank of the device, if several ranks are shown. */
  rank?: number | null;
  /** Start of the device's time, in nanoseconds of the lanes' time. */
  offset?: number;
  memoryAt?: IMemoryAt;
  model: TimelineModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { device, model, number, memoryAt, trans } = props;
  const { rank = null, offset = 0 } = props;
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const [tip, setTip] = React.useState('');
  const [moment, setMoment] = React.useState<IMemoryMoment | null>(null);
  const [error, setError] = React.useState('');
  const asking = React.useRef<AbortController | null>(null);
  React.useEffect(() => () => asking.current?.abort(), []);
  const ask = async (us: number | null) => {
    asking.current?.abort();
    const { signal } = (asking.current = new AbortController());
    try {
      const found = await memoryAt!(number, us, signal);
      if (!signal.aborted) {
        setMoment(found);
        setError('');
      }
    } catch (reason) {
      if (!signal.aborted) {
        const { message, hint } = ApiError.from(reason, trans);
        setError(`${message} ${hint}`.trim());
      }
    }
  };
  const chosen = moment?.us ?? null;
  React.useEffect(() => {
    const node = canvas.current!;
    let frame = 0;
    const later = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        if (model.visible) {
          draw(node, device, ownView(model.view, offset), chosen);
        }
      });
    };
    model.drawn.connect(later, later);
    const endTheme = onThemeChange(later);
    later();
    return () => {
      cancelAnimationFrame(frame);
      model.drawn.disconnect(later, later);
      endTheme();
    };
  }, [device, model, chosen, offset]);
  const own =
    device.device < 0
      ? trans.__('Host memory')
      : trans.__('Memory, device %1', device.device);
  const name = rank === null ? own : trans.__('%1, rank %2', own, rank);
  const peak = trans.__('peak %1', formatBytes(device.peak));
  const timeAt = (offsetX: number) =>
    Math.max(
      0,
      ownView(model.view, offset).start + offsetX * model.view.nsPerPx
    ) / 1000;
  return (
    <>
      <div className="gol-Timeline-memory">
        <div
          className="gol-Timeline-memory-head"
          title={trans.__(
            'Memory allocated during the recording and still in use'
          )}
        >
          {memoryAt ? (
            <button
              type="button"
              className="gol-LinkButton"
              title={trans.__(
                'Memory by owner at the start of the selected slice, or at the peak. Click the chart for another moment.'
              )}
              onClick={() => {
                const { details } = model;
                void ask(
                  details
                    ? Math.max(0, details.slice.start_us - offset / 1000)
                    : null
                );
              }}
            >
              {name}
            </button>
          ) : (
            <span>{name}</span>
          )}
          <span>{peak}</span>
        </div>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${name}: ${peak}`}
          title={tip}
          onClick={({ nativeEvent: { offsetX } }) => {
            if (memoryAt) {
              void ask(timeAt(offsetX));
            }
          }}
          onMouseMove={({ nativeEvent: { offsetX } }) => {
            const us = timeAt(offsetX);
            setTip(
              trans.__(
                '%1 at %2',
                formatBytes(memoryInUse(device.timeline ?? [], us)),
                formatMicroseconds(us + offset / 1000)
              )
            );
          }}
        />
      </div>
      {(moment || error) && (
        <OwnersAt
          moment={moment}
          error={error}
          name={name}
          offset={offset}
          onClose={() => {
            asking.current?.abort();
            setMoment(null);
            setError('');
          }}
          trans={trans}
        />
      )}
    </>
  );
}

/** A device's memory by owner at a moment, next to its strip. */
function OwnersAt(props: {
  moment: IMemoryMoment | null;
  error: string;
  name: string;
  offset: number;
  onClose: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { moment, error, name, offset, trans } = props;
  const lines = moment?.lines.slice(0, TOLD_LINES) ?? [];
  const more = moment
    ? moment.lines.length + moment.more_lines - lines.length
    : 0;
  return (
    <section
      className="gol-Timeline-holders"
      aria-label={trans.__('Memory by owner: %1', name)}
    >
      <div role="status">
        {error || (
          <strong>
            {trans.__(
              '%1: %2',
              formatMicroseconds((moment!.us ?? 0) + offset / 1000),
              formatBytes(moment!.held)
            )}
          </strong>
        )}
      </div>
      {!error && (
        <ul>
          {lines.map(({ line, site }) => (
            <li key={line} title={siteWords(site, trans)}>
              <span
                aria-hidden="true"
                style={{
                  width: `${(100 * site.bytes) / Math.max(moment!.held, 1)}%`
                }}
              />
              <span>{shortWords(site, trans)}</span>{' '}
              <span>
                {`${formatBytes(site.bytes)} ${formatShare(site.bytes, moment!.held)}`}
              </span>
            </li>
          ))}
          {more > 0 && (
            <li>{trans._n('%1 more line', '%1 more lines', more)}</li>
          )}
        </ul>
      )}
      <IconButton
        icon={closeIcon}
        label={trans.__('Close')}
        onClick={props.onClose}
      />
    </section>
  );
}

/** The visible time, in the time of a device. */
function ownView(view: IViewport, offset: number): IViewport {
  return { ...view, start: view.start - offset };
}

function draw(
  node: HTMLCanvasElement,
  device: IDeviceMemory,
  view: IViewport,
  chosen: number | null
): void {
  const context = node.getContext('2d');
  if (!context || view.width === 0) {
    return;
  }
  const ratio = window.devicePixelRatio || 1;
  node.width = Math.round(view.width * ratio);
  node.height = Math.round(HEIGHT_PX * ratio);
  context.scale(ratio, ratio);
  const points = device.timeline ?? [];
  const most = points.reduce((sum, { bytes }) => Math.max(sum, bytes), 1);
  context.beginPath();
  context.moveTo(0, HEIGHT_PX);
  // Space for the line's width, so that the peak is visible.
  for (const [x, y] of outlineIn(points, view, HEIGHT_PX - 2, most)) {
    context.lineTo(x, y + 2);
  }
  context.lineTo(view.width, HEIGHT_PX);
  context.fillStyle = getComputedStyle(node).color;
  context.fill();
  if (chosen !== null) {
    const x = (chosen * 1000 - view.start) / view.nsPerPx;
    context.fillStyle = getComputedStyle(node.parentElement!).color;
    context.fillRect(Math.round(x) - 1, 0, 2, HEIGHT_PX);
  }
}
