import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatAge, formatDuration, formatMoment } from '../format';

/** The age of a moment, updated by itself; the exact time is the tooltip. */
export function RelativeTime(props: RelativeTime.IProps): React.ReactElement {
  const { seconds, trans } = props;
  const now = useNow(15);
  return (
    <time
      className="gol-Time"
      dateTime={new Date(seconds * 1000).toISOString()}
      title={formatMoment(seconds)}
    >
      {formatAge(seconds, now, trans)}
    </time>
  );
}

export namespace RelativeTime {
  export interface IProps {
    /** Seconds since 1970. */
    seconds: number;
    trans: TranslationBundle;
  }
}

/** A duration, still growing if it has no end. Times in seconds since 1970. */
export function Elapsed(props: Elapsed.IProps): React.ReactElement {
  const { since, until } = props;
  const now = useNow(until === null ? 1 : 0);
  const text = formatDuration((until ?? now) - since);
  return (
    <span className="gol-Time" title={text}>
      {props.brief ? text.split(' ', 2).join(' ') : text}
    </span>
  );
}

export namespace Elapsed {
  export interface IProps {
    since: number;
    /** Null while it has not ended. */
    until: number | null;
    /** Show only the largest unit; the tooltip has both. */
    brief?: boolean;
  }
}

/**
 * The current time in seconds since 1970, updated every `period` seconds (0: never)
 * while the page is visible. Equal periods share one timer.
 */
export function useNow(period: number): number {
  const [now, setNow] = React.useState(() => Date.now() / 1000);
  React.useEffect(() => {
    if (period <= 0) {
      return;
    }
    const clock = clocks.get(period) ?? startClock(period);
    clock.listeners.add(setNow);
    return () => {
      clock.listeners.delete(setNow);
      if (clock.listeners.size === 0) {
        window.clearInterval(clock.timer);
        clocks.delete(period);
      }
    };
  }, [period]);
  return now;
}

interface IClock {
  timer: number;
  listeners: Set<(now: number) => void>;
}

const clocks = new Map<number, IClock>();

function startClock(period: number): IClock {
  const listeners = new Set<(now: number) => void>();
  const timer = window.setInterval(() => {
    if (document.visibilityState !== 'hidden') {
      const now = Date.now() / 1000;
      listeners.forEach(listener => listener(now));
    }
  }, period * 1000);
  const clock = { timer, listeners };
  clocks.set(period, clock);
  return clock;
}
