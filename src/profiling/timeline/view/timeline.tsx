import type { TranslationBundle } from '@jupyterlab/translation';
import { infoIcon, notTrustedIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { EmptyState, ActionButton, Callout, useRevision } from '../../../core';
import type { IMemory, IMemoryAt } from '../memory-strip';
import { memoryOfRank, stripsOf } from '../memory-strip';
import type { TimelineModel } from '../model';
import type { ITimeline } from '../service';
import type { ApiError } from '../../../core';

import { TimelineBar } from './bar';
import { TimelineCanvas } from './canvas';
import { clockWords } from './clock-messages';
import { LaneHeads } from './heads';
import { Marks } from './marks';
import { MemoryStrip } from './memory-strip';
import { Selected } from './selected';
import { selectionText } from './messages';

import '../../../../style/profiling/timeline.css';

/**
 * The timeline of a model; the owner of the model sets its visibility and
 * disposes it.
 */
export function TimelineView(props: {
  model: TimelineModel;
  /** Memory of the same trace, if it has any. */
  memory?: IMemory | null;
  /** Returns memory by owner; without it only the sum is shown. */
  memoryAt?: IMemoryAt;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, memory = null, trans } = props;
  const help = React.useId();
  const node = React.useRef<HTMLDivElement>(null);
  const heads = React.useRef<HTMLDivElement>(null);
  const canvas = React.useRef<HTMLDivElement>(null);
  const [, redraw] = useRevision(model.changed);
  React.useEffect(redraw, [model]); // events may have come before
  const { timeline, error } = model;
  // Devices are numbered across ranks; those of the chosen rank are shown.
  const rank = model.ranks.length > 1 ? model.chosenRank : null;
  const own = memoryOfRank(memory, rank);
  const failure = error && (
    <TimelineFailure model={model} error={error} trans={trans} />
  );
  const bar = <TimelineBar model={model} node={node} trans={trans} />;
  if (!timeline) {
    return (
      <div className="gol-Timeline" ref={node}>
        {bar}
        {failure || (
          <p className="gol-Note" role="status">
            {trans.__('Preparing the timeline…')}
          </p>
        )}
      </div>
    );
  }
  if (timeline.lanes.length === 0) {
    return (
      <div className="gol-Timeline" ref={node}>
        {bar}
        <EmptyState
          text={trans.__(
            'This profile has no timed slices, so it has no timeline.'
          )}
          actions={[]}
        />
      </div>
    );
  }
  return (
    <div className="gol-Timeline" ref={node}>
      {bar}
      {model.isTogether && <Clocks timeline={timeline} trans={trans} />}
      <Marks model={model} trans={trans} />
      {failure}
      <div className="gol-Timeline-body">
        <LaneHeads
          ref={heads}
          model={model}
          onSelected={() => canvas.current?.focus()}
          trans={trans}
        />
        <TimelineCanvas
          ref={canvas}
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
      {stripsOf(own).map(device => (
        <MemoryStrip
          key={`${rank} ${device.device}`}
          device={device}
          number={memory!.devices.indexOf(device)}
          rank={model.isTogether ? rank : null}
          offset={model.offsetOf(rank)}
          memoryAt={props.memoryAt}
          model={model}
          trans={trans}
        />
      ))}
      <p id={help} className="gol-Timeline-help">
        {trans.__(
          'W and S zoom, A and D pan. Arrows pan and scroll, 0 shows all, F shows the selected slice. Shift with an arrow selects the next slice, G and Shift+G follow its links. The wheel zooms; Shift and drag sums a period.'
        )}{' '}
        {model.hasPerfetto && trans.__('P opens Perfetto.')}
      </p>
      <Selected model={model} trans={trans} />
      <div className="gol-VisuallyHidden" role="status" aria-live="polite">
        {selectionText(model, trans)}
      </div>
    </div>
  );
}

/** The accuracy of the common clock of several ranks; empty for one rank. */
function Clocks(props: {
  timeline: ITimeline;
  trans: TranslationBundle;
}): React.ReactElement {
  const { aligned, apart } = clockWords(props.timeline, props.trans);
  return (
    <div className="gol-Timeline-clocks" role="note">
      {aligned && (
        <p>
          <infoIcon.react tag="span" className="gol-Icon" />
          {aligned}
        </p>
      )}
      {apart.map(sentence => (
        <p key={sentence} className="gol-mod-apart">
          <notTrustedIcon.react tag="span" className="gol-Icon" />
          {sentence}
        </p>
      ))}
    </div>
  );
}

/**
 * The failure of the timeline, with actions: retry, or open the trace in
 * Perfetto.
 */
function TimelineFailure(props: {
  model: TimelineModel;
  error: ApiError;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, error, trans } = props;
  // With a timeline, its own bar has the Perfetto button.
  const toPerfetto = model.hasPerfetto && !model.timeline;
  return (
    <Callout
      tone="error"
      title={
        model.timeline
          ? trans.__('A part of the timeline could not be loaded.')
          : trans.__('The timeline could not be prepared.')
      }
    >
      <>
        <p>{`${error.message} ${error.hint}`.trim()}</p>
        {toPerfetto && (
          <p>
            {trans.__('Perfetto reads the trace itself and may still show it.')}
          </p>
        )}
        <div className="gol-Timeline-actions">
          <ActionButton
            label={trans.__('Try again')}
            onClick={() => model.retry()}
          />
          {toPerfetto && (
            <ActionButton
              label={trans.__('Perfetto')}
              onClick={() => model.openPerfetto()}
            />
          )}
        </div>
      </>
    </Callout>
  );
}
