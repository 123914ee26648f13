import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { useScene } from '../../../core';
import type { ILook } from '../../../core/charts/scene';
import type { IPicture, ITarget, Picked } from '../pictures/picture';
import { nearest } from '../pictures/picture';

/** Distance in pixels that counts as a hit. */
const NEAR_PX = 24;
/** A shorter drag, in pixels, is a click. */
const DRAG_PX = 5;

type Place = readonly [number, number];

/** A picture that shows details under the pointer and can be brushed. */
export function Plot(props: Plot.IProps): React.ReactElement {
  const { height, draw, trans } = props;
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const [picture, setPicture] = React.useState<IPicture | null>(null);
  const [at, setAt] = React.useState(-1);
  const [drag, setDrag] = React.useState<{ from: Place; to: Place } | null>(
    null
  );

  useScene(
    canvas,
    React.useCallback(
      (across, look) => {
        const made = draw(across, height, look);
        setPicture(made);
        props.onDrawn(made, look);
        return made.scene;
      },
      [draw, height]
    )
  );
  const width = picture?.scene.width ?? 0;
  React.useEffect(() => {
    if (width > 0) {
      props.onWidth?.(width);
    }
  }, [width]);

  const target =
    picture && at >= 0 && at < picture.targets.x.length
      ? picture.targets.describe(at)
      : null;
  const placeOf = (event: React.PointerEvent): Place => {
    const box = canvas.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const use = (chosen: ITarget | null) => {
    if (chosen) {
      props.onTarget(chosen);
    }
  };
  const onKey = (event: React.KeyboardEvent) => {
    if (!picture) {
      return;
    }
    const next = moved(picture, at, event.key);
    if (next !== null) {
      setAt(next);
    } else if (event.key === 'Enter' && target) {
      use(target);
    } else if (event.key === 'Escape' || event.key === '0') {
      setAt(-1);
      props.onReset();
    } else if (
      (event.key === '+' || event.key === '-') &&
      picture.brush === 'x'
    ) {
      const { left, width: inside } = picture.scene.frame;
      const middle = target ? picture.targets.x[at] : left + inside / 2;
      const half = event.key === '+' ? inside / 4 : inside;
      if (event.key === '-') {
        props.onReset();
      } else {
        const picked = picture.picked([middle - half, 0], [middle + half, 0]);
        if (picked) {
          props.onPicked(picked);
        }
      }
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div
      className="gol-Plot"
      style={{ height: picture?.scene.height ?? height }}
      data-brush={picture?.brush}
      role="group"
      aria-roledescription={trans.__('chart')}
      aria-label={trans.__(
        '%1. Arrow keys move through the chart, Enter opens the selected place.',
        props.label
      )}
      tabIndex={0}
      onKeyDown={onKey}
      onBlur={() => setAt(-1)}
    >
      <canvas
        ref={canvas}
        role="img"
        aria-label={picture?.summary ?? ''}
        onPointerDown={event => {
          if (event.button === 0 && picture) {
            const from = placeOf(event);
            event.currentTarget.setPointerCapture(event.pointerId);
            setDrag({ from, to: from });
          }
        }}
        onPointerMove={event => {
          const to = placeOf(event);
          if (drag) {
            setDrag({ from: drag.from, to });
          }
          setAt(picture ? nearest(picture.targets, ...to, NEAR_PX) : -1);
        }}
        onPointerLeave={() => setAt(-1)}
        onPointerCancel={() => setDrag(null)}
        onPointerUp={event => {
          if (!drag || !picture) {
            return;
          }
          setDrag(null);
          const to = placeOf(event);
          const far =
            Math.hypot(to[0] - drag.from[0], to[1] - drag.from[1]) > DRAG_PX;
          if (!far) {
            use(target);
          } else if (picture.brush !== 'none') {
            const picked = picture.picked(drag.from, to);
            if (picked) {
              props.onPicked(picked);
            }
          }
        }}
        onDoubleClick={() => props.onReset()}
      />
      {drag && picture && <Brush picture={picture} {...drag} />}
      {target && picture && !drag && (
        <Tip
          target={target}
          left={picture.targets.x[at]}
          top={picture.targets.y[at]}
          width={width}
        />
      )}
      <span className="gol-VisuallyHidden" aria-live="polite">
        {target ? [target.title, ...target.lines].join(', ') : ''}
      </span>
    </div>
  );
}

export namespace Plot {
  export interface IProps {
    label: string;
    height: number;
    draw: (width: number, height: number, look: ILook) => IPicture;
    onDrawn: (picture: IPicture, look: ILook) => void;
    onWidth?: (pixels: number) => void;
    onTarget: (target: ITarget) => void;
    onPicked: (picked: Picked) => void;
    onReset: () => void;
    trans: TranslationBundle;
  }
}

/** Return the target that a key leads to; null for other keys. */
export function moved(
  { targets }: Pick<IPicture, 'targets'>,
  at: number,
  key: string
): number | null {
  const last = targets.x.length - 1;
  if (last < 0) {
    return null;
  }
  switch (key) {
    case 'ArrowRight':
      return Math.min(at + 1, last);
    case 'ArrowLeft':
      return Math.max(at - 1, 0);
    case 'Home':
      return 0;
    case 'End':
      return last;
    case 'ArrowDown':
    case 'ArrowUp': {
      if (at < 0) {
        return 0;
      }
      // Go to the next item, at the same x if possible.
      const step = key === 'ArrowDown' ? 1 : -1;
      const own = targets.describe(at);
      const isOther = (place: number, than: ITarget) => {
        const other = targets.describe(place);
        return other.runId !== than.runId || other.title !== than.title;
      };
      let begin = at + step;
      while (begin >= 0 && begin <= last && !isOther(begin, own)) {
        begin += step;
      }
      if (begin < 0 || begin > last) {
        return at;
      }
      const next = targets.describe(begin);
      let best = begin;
      for (
        let place = begin;
        place >= 0 && place <= last && !isOther(place, next);
        place += step
      ) {
        if (
          Math.abs(targets.x[place] - targets.x[at]) <
          Math.abs(targets.x[best] - targets.x[at])
        ) {
          best = place;
        }
      }
      return best;
    }
    default:
      return null;
  }
}

function Brush(props: {
  picture: IPicture;
  from: Place;
  to: Place;
}): React.ReactElement | null {
  const { picture, from, to } = props;
  const { brush, scene } = picture;
  if (brush === 'none') {
    return null;
  }
  const { left, top, width, height } = scene.frame;
  const box =
    brush === 'x'
      ? {
          left: Math.min(from[0], to[0]),
          top,
          width: Math.abs(to[0] - from[0]),
          height
        }
      : brush === 'y'
        ? {
            left: from[0] - 10,
            top: Math.min(from[1], to[1]),
            width: 20,
            height: Math.abs(to[1] - from[1])
          }
        : {
            left: Math.min(from[0], to[0]),
            top: Math.min(from[1], to[1]),
            width: Math.abs(to[0] - from[0]),
            height: Math.abs(to[1] - from[1])
          };
  const clipped = {
    ...box,
    left: Math.max(box.left, left - 10),
    width: Math.min(box.width, width + 20)
  };
  return <div className="gol-Plot-brush" style={clipped} aria-hidden="true" />;
}

function Tip(props: {
  target: ITarget;
  left: number;
  top: number;
  width: number;
}): React.ReactElement {
  const { target, left, top, width } = props;
  const side =
    left > width / 2 ? { right: width - left + 12 } : { left: left + 12 };
  return (
    <>
      <span
        className="gol-Plot-spot"
        style={{ left, top, borderColor: target.color }}
        aria-hidden="true"
      />
      <div
        className="gol-Plot-tip"
        style={{ ...side, top: Math.max(top - 20, 0) }}
        aria-hidden="true"
      >
        <strong>{target.title}</strong>
        {target.lines.slice(0, 12).map(line => (
          <span key={line}>{line}</span>
        ))}
      </div>
    </>
  );
}
