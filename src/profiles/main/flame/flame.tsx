import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { drawOnCanvas } from '../../../charts/drawing/canvas';
import { readLook } from '../../../charts/drawing/colors';
import { savePng } from '../../../charts/files';
import { ActionButton, EmptyState, ResourceView } from '../../../core';
import { onThemeChange } from '../../../core/palette';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IFlame } from '../../service';
import { RankPicker } from '../../timeline/view/rank-picker';
import type { ProfileViewModel } from '../model';

import type { Measure } from './layout';
import { WHOLE, flameLayout, found, neighbour, timeOf } from './layout';
import type { IFlameWords } from './scene';
import { flameScene, frameAt, nameOf } from './scene';

/** What called what. It is asked for when it is first seen. */
export function Flame(props: Flame.IProps): React.ReactElement {
  const { model, ranks, seen, trans } = props;
  const rank = ranks.length > 1 ? (model.rank ?? ranks[0]) : null;
  const resource = model.flame(rank);
  React.useEffect(() => {
    resource.visible = seen;
    return () => {
      resource.visible = false;
    };
  }, [resource, seen]);
  return (
    <>
      {rank !== null && (
        <div className="gol-Profile-bar">
          <RankPicker
            ranks={ranks}
            rank={rank}
            onRank={chosen => {
              model.rank = chosen;
            }}
            trans={trans}
          />
        </div>
      )}
      <ResourceView
        // What is selected and searched for is in one rank's.
        key={rank}
        resource={resource}
        trans={trans}
        down={trans.__('The call tree of this profile cannot be read.')}
        empty={null}
      >
        {flame =>
          flame.nodes.length > 0 ? (
            <Drawn flame={flame} trans={trans} />
          ) : (
            <EmptyState
              text={trans.__('The trace holds no calls and no kernels.')}
            />
          )
        }
      </ResourceView>
    </>
  );
}

export namespace Flame {
  export interface IProps {
    model: Pick<ProfileViewModel, 'flame' | 'rank'>;
    /** Of the profile; of one there is nothing to choose. */
    ranks: readonly number[];
    seen: boolean;
    trans: TranslationBundle;
  }
}

const KINDS = [
  'annotation',
  'python',
  'operator',
  'runtime',
  'kernel',
  'other'
] as const;

function Drawn(props: {
  flame: IFlame;
  trans: TranslationBundle;
}): React.ReactElement {
  const { flame, trans } = props;
  const [measure, setMeasure] = React.useState<Measure>(
    flame.device_us > 0 ? 'device_us' : 'host_us'
  );
  const [focus, setFocus] = React.useState(WHOLE);
  const [selected, setSelected] = React.useState(WHOLE);
  const [text, setText] = React.useState('');
  const host = React.useRef<HTMLDivElement>(null);
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const layout = React.useMemo(
    () => flameLayout(flame, measure, focus),
    [flame, measure, focus]
  );
  const matches = React.useMemo(
    () => found(flame, measure, text),
    [flame, measure, text]
  );
  const words: IFlameWords = {
    all: trans.__('All'),
    other: trans.__('too small to be seen')
  };
  const scene = (width: number, node: HTMLElement) => {
    const style = getComputedStyle(node);
    return flameScene({
      flame,
      layout,
      width,
      look: readLook(node),
      colorOf: kind =>
        style.getPropertyValue(`--gol-flame-${kind}`).trim() || style.color,
      words,
      found: text.trim() ? matches.nodes : null,
      selected
    });
  };
  const draw = () => {
    const node = host.current;
    if (node && canvas.current && node.clientWidth > 0) {
      const made = scene(node.clientWidth, node);
      drawOnCanvas(
        canvas.current,
        made,
        readLook(node),
        window.devicePixelRatio || 1
      );
      canvas.current.style.height = `${made.height}px`;
    }
  };
  const latest = React.useRef(draw);
  latest.current = draw;
  React.useEffect(() => latest.current(), [layout, matches, text, selected]);
  React.useEffect(() => {
    const redraw = () => latest.current();
    const resize = new ResizeObserver(redraw);
    resize.observe(host.current!);
    const endTheme = onThemeChange(() => requestAnimationFrame(redraw));
    return () => {
      resize.disconnect();
      endTheme();
    };
  }, []);

  const sentence = (node: number) => {
    const us = timeOf(flame, measure, node);
    const words_ = [
      nameOf(flame, node, words),
      trans.__(
        '%1, %2 of all',
        formatMicroseconds(us),
        formatShare(us, flame[measure])
      )
    ];
    if (node !== WHOLE && flame.nodes[node].count > 0) {
      const { count } = flame.nodes[node];
      words_.push(trans._n('%1 call', '%1 calls', count));
    }
    return words_.join(': ').replace(/: (?=[^:]*calls?$)/, ', ');
  };

  const onKeyDown = (event: React.KeyboardEvent) => {
    const target = neighbour(flame, measure, selected, event.key);
    if (target !== null) {
      setSelected(target);
    } else if (event.key === 'Enter') {
      setFocus(selected);
    } else if (event.key === 'Escape') {
      setFocus(WHOLE);
      setSelected(WHOLE);
    } else if (!event.key.startsWith('Arrow')) {
      return;
    }
    event.preventDefault();
  };

  return (
    <div className="gol-Flame">
      <div className="gol-Profile-bar">
        <div
          className="gol-Profile-choice"
          role="group"
          aria-label={trans.__('Width of a frame')}
        >
          {(
            [
              ['device_us', trans.__('Device time')],
              ['host_us', trans.__('Host time')]
            ] as const
          ).map(([id, label]) => (
            <button
              key={id}
              type="button"
              aria-pressed={id === measure}
              onClick={() => setMeasure(id)}
            >
              {label}
            </button>
          ))}
        </div>
        <input
          type="search"
          className="gol-Tables-filter"
          aria-label={trans.__('Find')}
          placeholder={trans.__('Find')}
          value={text}
          onChange={event => setText(event.target.value)}
        />
        {text.trim() && (
          <span role="status" className="gol-Profile-quiet">
            {trans.__(
              '%1 in %2 frames (%3)',
              formatMicroseconds(matches.us),
              matches.nodes.size,
              formatShare(matches.us, flame[measure])
            )}
          </span>
        )}
        <ActionButton
          label={trans.__('Show all')}
          disabled={focus === WHOLE}
          onClick={() => setFocus(WHOLE)}
        />
        <ActionButton
          label={trans.__('PNG')}
          caption={trans.__('Save the flame graph as a PNG')}
          onClick={() => {
            const node = host.current!;
            const width = Math.max(node.clientWidth, 900);
            void savePng(
              scene(width, node),
              readLook(node),
              trans.__('flame graph')
            );
          }}
        />
      </div>
      <p className="gol-Flame-selected" aria-live="polite">
        {sentence(selected)}
      </p>
      <div
        ref={host}
        className="gol-Flame-host"
        role="application"
        tabIndex={0}
        aria-label={trans.__(
          'Flame graph. Arrows go to the caller, into what is called and to its neighbours; Enter widens a frame, Escape shows all.'
        )}
        onKeyDown={onKeyDown}
      >
        <canvas
          ref={canvas}
          aria-hidden="true"
          onMouseMove={({
            nativeEvent: { offsetX, offsetY },
            currentTarget
          }) => {
            const at = frameAt(
              layout,
              currentTarget.clientWidth,
              offsetX,
              offsetY
            );
            currentTarget.title = at ? sentence(at.node) : '';
          }}
          onClick={({ nativeEvent: { offsetX, offsetY }, currentTarget }) => {
            const at = frameAt(
              layout,
              currentTarget.clientWidth,
              offsetX,
              offsetY
            );
            if (at) {
              setSelected(at.node);
              setFocus(at.node);
            }
          }}
        />
      </div>
      <ul className="gol-TimeBars-legend" aria-hidden="true">
        {KINDS.map(kind => (
          <li key={kind}>
            <span style={{ background: `var(--gol-flame-${kind})` }} />
            {kindWord(kind, trans)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function kindWord(
  kind: (typeof KINDS)[number],
  trans: TranslationBundle
): string {
  return {
    annotation: trans.__('Step or annotation'),
    python: trans.__('Python'),
    operator: trans.__('Operator'),
    runtime: trans.__('Call of the runtime'),
    kernel: trans.__('Kernel or copy'),
    other: trans.__('Too small to be seen')
  }[kind];
}
