import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { onThemeChange } from '../../../core/charts/look';
import { formatMicroseconds } from '../../figures';
import type { ITheme } from '../colors';
import { readTheme } from '../colors';
import { formatValue } from '../counters';
import type { IPlacedLane } from '../lanes';
import { rowAt } from '../lanes';
import type { TimelineModel } from '../model';
import { AXIS_PX, Painter } from '../painter';
import type { IPicked, IPickedValues } from '../picking';
import { pick } from '../picking';

import { pressed } from './keys';

/** A shorter drag is a click. */
const DRAG_PX = 4;
/** A wheel turn of 100 px zooms by a fifth. */
const WHEEL = 0.0018;

/**
 * The canvas with its pointer actions. It draws after a change, at most once
 * per frame.
 */
export const TimelineCanvas = React.forwardRef<
  HTMLDivElement,
  {
    model: TimelineModel;
    trans: TranslationBundle;
    describedBy: string;
    onScroll: (scroll: number) => void;
  }
>(function TimelineCanvas(props, focused): React.ReactElement {
  const { model, trans, describedBy } = props;
  const host = React.useRef<HTMLDivElement>(null);
  React.useImperativeHandle(focused, () => host.current!, []);
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const [tip, setTip] = React.useState<ITip | null>(null);

  React.useEffect(() => {
    const node = host.current!;
    const painter = new Painter(canvas.current!);
    let theme: ITheme | null = null;
    let frame = 0;
    const draw = () => {
      frame = 0;
      if (!model.visible || !model.timeline) {
        return;
      }
      theme ??= readTheme(node, model.timeline.names, model.kinds);
      painter.paint(model, theme, window.devicePixelRatio || 1);
      props.onScroll(model.scroll);
    };
    const later = () => {
      frame ||= requestAnimationFrame(draw);
    };
    const slot = () => later();
    model.drawn.connect(slot, slot);
    const endTheme = onThemeChange(() => {
      theme = null;
      later();
    });
    const fit = () => {
      if (node.clientWidth > 0) {
        model.resize(
          node.clientWidth,
          Math.max(0, node.clientHeight - AXIS_PX)
        );
      }
    };
    const resize = new ResizeObserver(fit);
    resize.observe(node);
    fit();
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = node.getBoundingClientRect();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        model.pan(event.deltaX || event.deltaY);
      } else {
        model.zoom(Math.exp(event.deltaY * WHEEL), event.clientX - box.left);
      }
    };
    // React's own listener is passive and cannot stop the page from scrolling.
    node.addEventListener('wheel', wheel, { passive: false });
    return () => {
      cancelAnimationFrame(frame);
      model.drawn.disconnect(slot, slot);
      endTheme();
      resize.disconnect();
      node.removeEventListener('wheel', wheel);
    };
  }, [model]);

  const placeOf = (event: React.PointerEvent): [number, number] => {
    const box = host.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const pickedAt = ([x, y]: [number, number]): IPicked | null =>
    y < AXIS_PX
      ? null
      : pick(
          x,
          y - AXIS_PX + model.scroll,
          model.view,
          model.placed,
          model.cache
        );

  return (
    <div
      ref={host}
      className="gol-Timeline-canvas"
      role="application"
      tabIndex={0}
      aria-label={trans.__('Timeline')}
      aria-describedby={describedBy}
      onKeyDown={event => {
        if (pressed(model, event.nativeEvent)) {
          event.preventDefault();
          event.stopPropagation();
        }
      }}
      onPointerDown={event => {
        if (event.button === 0) {
          setTip(null);
          drag(event, placeOf, model, place => {
            const y = place[1] - AXIS_PX + model.scroll;
            model.pointAt(rowAt(model.placed, y)?.lane.rank ?? null);
            void model.choose(pickedAt(place));
          });
        }
      }}
      onPointerMove={event => {
        if (event.buttons === 0) {
          const place = placeOf(event);
          setTip(tipOf(pickedAt(place), place, model, trans));
        }
      }}
      onPointerLeave={() => setTip(null)}
      onDoubleClick={() => {
        if (model.details) {
          model.fit(model.details.slice);
        } else if (model.range) {
          model.showBetween(model.range.first, model.range.last);
        }
      }}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {tip && (
        <div
          className="gol-Timeline-tip"
          aria-hidden="true"
          style={{ left: tip.left, top: tip.top }}
        >
          {tip.text}
        </div>
      )}
    </div>
  );
});

interface ITip {
  readonly left: number;
  readonly top: number;
  readonly text: string;
}

function tipOf(
  picked: IPicked | null,
  [x, y]: [number, number],
  model: TimelineModel,
  trans: TranslationBundle
): ITip | null {
  if (!picked) {
    return null;
  }
  const { values, lane } = picked;
  const name = model.timeline?.names[picked.name] ?? '';
  const time = formatMicroseconds(picked.dur / 1000);
  return {
    left: Math.min(x + 12, Math.max(0, model.view.width - 320)),
    top: y + 16,
    text: values
      ? counterTip(picked, values, lane, trans)
      : picked.count === 1
        ? `${name}: ${time}`
        : trans.__(
            '%1 slices in %2, mostly %3',
            picked.count.toLocaleString(),
            time,
            name
          )
  };
}

function counterTip(
  { count }: IPicked,
  { low, high, last }: IPickedValues,
  { label, counter }: IPlacedLane,
  trans: TranslationBundle
): string {
  const unit = counter?.unit;
  return count === 1
    ? trans.__('%1: %2', label, formatValue(last, unit))
    : trans.__(
        '%1: %2 to %3 in %4 samples',
        label,
        formatValue(low),
        formatValue(high, unit),
        count.toLocaleString()
      );
}

/**
 * Follow a pointer until it is released: a pan, with Shift a selection, without
 * movement a click.
 */
function drag(
  down: React.PointerEvent,
  placeOf: (event: React.PointerEvent) => [number, number],
  model: TimelineModel,
  onClick: (place: [number, number]) => void
): void {
  const node = down.currentTarget as HTMLElement;
  const from = placeOf(down);
  const box = node.getBoundingClientRect();
  const begun = { view: model.view, scroll: model.scroll };
  let moved = false;
  let to = from;
  const range = () => {
    const time = (x: number) => begun.view.start + x * begun.view.nsPerPx;
    const heights = [from[1], to[1]]
      .map(y => y - AXIS_PX + model.scroll)
      .sort((one, other) => one - other);
    const touched = model.placed.lanes.filter(
      lane => lane.top <= heights[1] && lane.top + lane.height >= heights[0]
    );
    return {
      first: Math.max(0, time(Math.min(from[0], to[0]))),
      last: Math.max(0, time(Math.max(from[0], to[0]))),
      lanes: touched.map(({ lane }) => lane)
    };
  };
  const move = (event: PointerEvent) => {
    to = [event.clientX - box.left, event.clientY - box.top];
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    moved ||= Math.hypot(dx, dy) >= DRAG_PX;
    if (!moved) {
      return;
    }
    if (down.shiftKey) {
      model.sketchRange(range());
    } else {
      model.panTo(begun.view, -dx);
      model.scrollTo(begun.scroll - dy);
    }
  };
  const end = () => {
    node.removeEventListener('pointermove', move);
    node.removeEventListener('pointerup', end);
    node.removeEventListener('pointercancel', end);
    if (!moved) {
      onClick(from);
    } else if (down.shiftKey) {
      void model.selectRange(range());
    }
  };
  node.setPointerCapture(down.pointerId);
  node.addEventListener('pointermove', move);
  node.addEventListener('pointerup', end);
  node.addEventListener('pointercancel', end);
}
