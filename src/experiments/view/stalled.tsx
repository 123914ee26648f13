import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatDuration } from '../../core';
import { useNow } from '../../core/ui/time';
import type { ILatestMetrics } from '../service';

import '../../../style/experiments/experiments.css';

/** Seconds between two requests while a run logs nothing. */
const LOOK_S = 60;
/** Time in view before the request: scrolling past a run asks nothing. */
const DWELL_MS = 1000;

/**
 * Source of a run's latest metrics; nothing is requested while it is not
 * visible.
 */
export interface ILatestSource {
  readonly visible: boolean;
  /** @throws ApiError */
  latestMetrics(runId: string): Promise<ILatestMetrics>;
}

/**
 * Says that a running run has logged no metric for a long time, by the server's
 * judgement: it may hang.
 */
export function Stalled(props: Stalled.IProps): React.ReactElement | null {
  const { runId, logged, source, trans } = props;
  const now = useNow(LOOK_S);
  const [changed, setChanged] = React.useState(0);
  // Changes on this page need no request; a changed value may also come as an
  // equal one.
  const before = React.useRef(logged);
  React.useEffect(() => {
    if (logged !== before.current) {
      before.current = logged;
      setChanged(Date.now() / 1000);
    }
  }, [logged]);
  const [said, setSaid] = React.useState({ since: 0, asked: 0 });
  const isQuiet = now - changed >= LOOK_S;
  React.useEffect(() => {
    if (!isQuiet || !source.visible) {
      return;
    }
    let ended = false;
    const ask = async () => {
      try {
        const { stalled_s } = await source.latestMetrics(runId);
        const asked = Date.now() / 1000;
        if (!ended) {
          setSaid({ since: asked - (stalled_s ?? 0), asked });
        }
      } catch {
        // The next request follows in a minute.
      }
    };
    const timer = window.setTimeout(() => void ask(), DWELL_MS);
    return () => {
      ended = true;
      window.clearTimeout(timer);
    };
  }, [isQuiet, now, runId]);
  const { since, asked } = said;
  const isSure = since < asked && now - asked < 2 * LOOK_S;
  if (!isQuiet || !isSure) {
    return null;
  }
  const minutes = Math.floor((Math.max(now, asked) - since) / 60);
  return (
    <span
      className="gol-Run-stalled"
      title={trans.__(
        'The run is still open but has logged no metric for some time. Check whether its cell still runs.'
      )}
    >
      {trans.__('no metric for %1', formatDuration(minutes * 60))}
    </span>
  );
}

export namespace Stalled {
  export interface IProps {
    runId: string;
    /** Text that changes when the run has logged something. */
    logged: string;
    source: ILatestSource;
    trans: TranslationBundle;
  }
}
