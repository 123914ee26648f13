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

/** The timeline of a profile, as a part of another view. It asks for nothing while it is not `visible`. */
export function Timeline(props: {
  profileId: string;
  api: GenOpsApi;
  trans: TranslationBundle;
  visible: boolean;
  /** Of the profile. */
  ranks?: readonly number[];
  /** Whose timeline it is, where a profile has several ranks. */
  rank?: number | null;
  onRank?: (rank: number | null) => void;
  onPerfetto: (asked: ICutQuery) => void;
  /** What is to be marked and gone to; other marks are another object. */
  marks?: IMarks | null;
  /** What the trace says of memory, to be shown below the lanes. */
  memory?: IMemory | null;
  /** Where its trace lies, if not here. */
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
    // What failed for want of the trace is there for the asking once that has come.
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
