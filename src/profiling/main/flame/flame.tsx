import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { readLook } from '../../../core/charts/look';
import { savePng } from '../../../core/charts/files';
import { ActionButton, EmptyState, ResourceView } from '../../../core';
import { formatMicroseconds, formatShare } from '../../figures';
import { RankPicker } from '../../timeline/view/rank-picker';
import type { IShownFlame, ProfileViewModel } from '../model';

import type { IFlameWords, Measure } from './calls';
import { WHOLE, callTree, nameOf } from './calls';
import type { FlameGraph, IMatches } from './graph';

/** Pause in typing or dragging before thousands of frames are drawn again. */
const PAUSE_MS = 120;

/** The flame graph, loaded when it is first seen. */
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
        // Selection and search belong to one rank.
        key={rank}
        resource={resource}
        trans={trans}
        down={trans.__('The call tree of this profile cannot be read.')}
        empty={null}
      >
        {({ flame, Graph }) =>
          flame.nodes.length > 0 ? (
            <Drawn flame={flame} Graph={Graph} trans={trans} />
          ) : (
            <EmptyState
              text={trans.__('The trace has no calls and no GPU kernels.')}
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
    /** Ranks of the profile; with one rank there is no choice. */
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

type Kind = (typeof KINDS)[number];

/** The root has no kind. */
const WITHOUT = { kind: '', name: '' };

function Drawn(
  props: IShownFlame & { trans: TranslationBundle }
): React.ReactElement {
  const { flame, Graph, trans } = props;
  const [measure, setMeasure] = React.useState<Measure>(
    flame.device_us > 0 ? 'device_us' : 'host_us'
  );
  const [focus, setFocus] = React.useState(WHOLE);
  const [selected, setSelected] = React.useState(WHOLE);
  const [text, setText] = React.useState('');
  const [wanted, setWanted] = React.useState('');
  const [matches, setMatches] = React.useState<IMatches | null>(null);
  const host = React.useRef<HTMLDivElement>(null);
  const picture = React.useRef<HTMLDivElement>(null);
  const graph = React.useRef<FlameGraph | null>(null);

  const words: IFlameWords = {
    all: trans.__('All'),
    other: trans.__('too short to draw')
  };
  const timeOf = (node: number, of: Measure) =>
    (node === WHOLE ? flame : flame.nodes[node])[of];
  const sentence = (node: number) => {
    const us = timeOf(node, measure);
    const share = trans.__(
      '%1, %2 of the total',
      formatMicroseconds(us),
      formatShare(us, flame[measure])
    );
    const said = `${nameOf(flame, node, words)}: ${share}`;
    const count = node === WHOLE ? 0 : flame.nodes[node].count;
    return count > 0
      ? `${said}, ${trans._n('%1 call', '%1 calls', count)}`
      : said;
  };
  /** The text for a frame's colour, shade and width. */
  const seenOf = (node: number) => {
    const { kind, name } = node === WHOLE ? WITHOUT : flame.nodes[node];
    const kinds: readonly string[] = KINDS;
    const found =
      wanted.trim() && name.toLowerCase().includes(wanted.trim().toLowerCase());
    return [
      kinds.includes(kind) && kindWord(kind as Kind, trans),
      found && trans.__('Match'),
      node === focus && node !== WHOLE && trans.__('Zoomed in')
    ]
      .filter(Boolean)
      .map(word => `. ${word}`)
      .join('');
  };
  const latest = React.useRef(sentence);
  latest.current = sentence;

  React.useEffect(() => {
    const node = picture.current!;
    const made = (graph.current = new Graph({
      host: node,
      calls: callTree(flame),
      measure,
      nameOf: place => nameOf(flame, place, words),
      sentence: place => latest.current(place),
      onZoom: place => {
        setSelected(place);
        setFocus(place);
      }
    }));
    const fit = () => {
      made.width = node.clientWidth;
    };
    fit();
    let timer = 0;
    const resize = new ResizeObserver(() => {
      window.clearTimeout(timer);
      timer = window.setTimeout(fit, PAUSE_MS);
    });
    resize.observe(node);
    return () => {
      resize.disconnect();
      window.clearTimeout(timer);
      made.dispose();
    };
  }, [flame]);
  React.useEffect(() => {
    const timer = window.setTimeout(() => setWanted(text), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  React.useEffect(() => {
    graph.current!.measure = measure;
    setMatches(graph.current!.search(wanted));
  }, [flame, measure, wanted]);
  React.useEffect(() => {
    graph.current!.focus = focus;
  }, [flame, focus]);
  React.useEffect(() => {
    graph.current!.selected = selected;
  }, [flame, selected]);

  const onMeasure = (chosen: Measure) => {
    setMeasure(chosen);
    // A frame without time and its callees are not visible.
    if (timeOf(focus, chosen) === 0) {
      setFocus(WHOLE);
    }
    if (timeOf(selected, chosen) === 0) {
      setSelected(WHOLE);
    }
  };

  const onKeyDown = (event: React.KeyboardEvent) => {
    const target = graph.current!.neighbour(selected, event.key);
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
          aria-label={trans.__('Frame width')}
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
              onClick={() => onMeasure(id)}
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
        <span role="status" className="gol-Profile-quiet">
          {matches &&
            trans.__(
              '%1 in %2 frames (%3)',
              formatMicroseconds(matches.us),
              matches.frames,
              formatShare(matches.us, flame[measure])
            )}
        </span>
        <ActionButton
          label={trans.__('Reset zoom')}
          disabled={focus === WHOLE}
          onClick={() => setFocus(WHOLE)}
        />
        <ActionButton
          label={trans.__('PNG')}
          caption={trans.__('Save the flame graph as a PNG image')}
          onClick={() => {
            const look = readLook(host.current!);
            void savePng(
              graph.current!.picture(look),
              look,
              trans.__('flame graph')
            );
          }}
        />
      </div>
      <p className="gol-Flame-selected" aria-live="polite">
        {sentence(selected)}
        <span className="gol-VisuallyHidden">{seenOf(selected)}</span>
      </p>
      <div
        ref={host}
        className="gol-Flame-host"
        role="application"
        tabIndex={0}
        aria-label={trans.__(
          'Flame graph. Arrow keys move to the caller, to a callee or to a sibling. Enter zooms into a frame, Escape resets the zoom.'
        )}
        onKeyDown={onKeyDown}
      >
        <div ref={picture} aria-hidden="true" />
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

function kindWord(kind: Kind, trans: TranslationBundle): string {
  return {
    annotation: trans.__('Step or annotation'),
    python: trans.__('Python'),
    operator: trans.__('Operator'),
    runtime: trans.__('Runtime call'),
    kernel: trans.__('GPU kernel or copy'),
    other: trans.__('Too short to draw')
  }[kind];
}
