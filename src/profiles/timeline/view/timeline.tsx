import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, EmptyState } from '../../../core';
import type { IMemory, IMemoryAt } from '../memory-strip';
import { stripsOf } from '../memory-strip';
import type { TimelineModel } from '../model';

import { TimelineCanvas } from './canvas';
import { TimelineFailure } from './failure';
import { LaneHeads } from './heads';
import { Marks } from './marks';
import { RankPicker } from './rank-picker';
import { MemoryStrip } from './memory-strip';
import { savePicture } from './picture';
import { TimelineSearch } from './search';
import { Selected } from './selected';
import { told } from './words';

/** The timeline of a model; who makes the model says when it is seen, and disposes it. */
export function TimelineView(props: {
  model: TimelineModel;
  /** Of the same trace, where it tells any. */
  memory?: IMemory | null;
  /** Who held it; without it the sum alone is shown. */
  memoryAt?: IMemoryAt;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, memory = null, trans } = props;
  const help = React.useId();
  const node = React.useRef<HTMLDivElement>(null);
  const heads = React.useRef<HTMLDivElement>(null);
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const slot = () => redraw();
    model.changed.connect(slot, slot);
    redraw();
    return () => {
      model.changed.disconnect(slot, slot);
    };
  }, [model]);
  const { timeline, error } = model;
  const failure = error && (
    <TimelineFailure model={model} error={error} trans={trans} />
  );
  const picker = timeline?.ranks && (
    <RankPicker
      ranks={timeline.ranks}
      rank={model.rank}
      onRank={rank => model.showRank(rank)}
      trans={trans}
    />
  );
  if (!timeline) {
    return (
      <div className="gol-Timeline">
        {failure || (
          <p className="gol-Note" role="status">
            {trans.__('The timeline is being made…')}
          </p>
        )}
      </div>
    );
  }
  if (timeline.lanes.length === 0) {
    return (
      <div className="gol-Timeline">
        {picker && <div className="gol-Timeline-bar">{picker}</div>}
        <EmptyState
          text={trans.__(
            'This profile has no slices of time, so there is no timeline.'
          )}
          actions={[]}
        />
      </div>
    );
  }
  return (
    <div className="gol-Timeline" ref={node}>
      <div className="gol-Timeline-bar">
        {picker}
        <TimelineSearch model={model} trans={trans} />
        <div className="gol-Timeline-actions">
          {model.hasPerfetto && (
            <ActionButton
              label={trans.__('Perfetto')}
              caption={trans.__(
                'Look at what is seen here, and at the selected slice, in the Perfetto UI (P)'
              )}
              onClick={() => model.openPerfetto()}
            />
          )}
          <ActionButton
            label={trans.__('Whole trace')}
            onClick={() => model.showAll()}
          />
          <ActionButton
            label={trans.__('PNG')}
            caption={trans.__('Save what is seen of the timeline as a PNG')}
            onClick={() => {
              if (node.current) {
                void savePicture(node.current, model, trans.__('Timeline'));
              }
            }}
          />
        </div>
      </div>
      <Marks model={model} trans={trans} />
      {failure}
      <div className="gol-Timeline-body">
        <LaneHeads ref={heads} model={model} trans={trans} />
        <TimelineCanvas
          model={model}
          trans={trans}
          describedBy={help}
          onScroll={scroll => {
            if (heads.current) {
              heads.current.style.transform = `translateY(${-scroll}px)`;
            }
          }}
        />
      </div>
      {stripsOf(memory).map(device => (
        <MemoryStrip
          key={device.device}
          device={device}
          number={memory!.devices.indexOf(device)}
          memoryAt={props.memoryAt}
          model={model}
          trans={trans}
        />
      ))}
      <p id={help} className="gol-Timeline-help">
        {trans.__(
          'W and S zoom, A and D pan, arrows pan and scroll, 0 shows all, F the selected slice, P opens Perfetto; Shift with arrows goes from slice to slice. The wheel zooms; drag with Shift for sums.'
        )}
      </p>
      <Selected model={model} trans={trans} />
      <div className="gol-VisuallyHidden" role="status" aria-live="polite">
        {told(model, trans)}
      </div>
    </div>
  );
}
