import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { GenOpsApi } from '../../core';

import { MemoryService } from '../main/memory/service';
import type { ICutQuery } from '../perfetto/service';

import type { IMemory } from './memory-strip';
import type { IMarks } from './marks';
import { TimelineModel } from './model';
import { TimelineService } from './service';
import { TimelineView } from './view/timeline';

/**
 * The timeline of a profile, as a part of another view. It requests nothing
 * while it is not `visible`.
 */
export function Timeline(props: {
  profileId: string;
  api: GenOpsApi;
  trans: TranslationBundle;
  visible: boolean;
  /** Ranks of the profile. */
  ranks?: readonly number[];
  /** The rank of the timeline, if a profile has several. */
  rank?: number | null;
  onRank?: (rank: number | null) => void;
  onPerfetto: (asked: ICutQuery) => void;
  /** Marks to show; other marks are another object. */
  marks?: IMarks | null;
  /** The trace's memory, shown below the lanes. */
  memory?: IMemory | null;
  /** The target that has the trace, if it is not on this machine. */
  traceTarget?: string;
}): React.ReactElement | null {
  const { profileId, api, trans, visible, rank = null, marks = null } = props;
  const actions = React.useRef(props);
  actions.current = props;
  const [model, setModel] = React.useState<TimelineModel | null>(null);
  React.useEffect(() => {
    const service = new TimelineService(api);
    const made = new TimelineModel({
      profileId,
      service,
      trans,
      ranks: actions.current.ranks,
      rank,
      onRank: chosen => actions.current.onRank?.(chosen),
      onPerfetto: asked => actions.current.onPerfetto(asked)
    });
    setModel(made);
    return () => made.dispose();
  }, [profileId, api]);
  React.useEffect(() => {
    if (model) {
      model.visible = visible;
    }
  }, [model, visible]);
  React.useEffect(() => {
    // Retry requests that failed without the trace, when the trace has arrived.
    if (model?.error && !props.traceTarget) {
      model.retry();
    }
  }, [model, props.traceTarget]);
  React.useEffect(() => model?.showRank(rank), [model, rank]);
  React.useEffect(() => {
    if (model && marks) {
      void model.mark(marks);
    }
  }, [model, marks]);
  const memoryAt = React.useCallback(
    (device: number, us: number | null, signal: AbortSignal) =>
      new MemoryService(api).moment(
        profileId,
        device,
        us === null ? {} : { us },
        signal
      ),
    [api, profileId]
  );
  return (
    model && (
      <TimelineView
        model={model}
        memory={props.memory}
        memoryAt={memoryAt}
        trans={trans}
      />
    )
  );
}
