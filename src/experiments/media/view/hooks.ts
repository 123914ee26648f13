import * as React from 'react';

import { useRevision } from '../../../core';
import type { MediaModel } from '../model';

/**
 * The answer of a request, or its error; the earlier answer stays until then.
 */
export type Loaded<T> =
  | { readonly state: 'loading' }
  | { readonly state: 'failed'; readonly why: string }
  | { readonly state: 'ready'; readonly value: T };

/** Return whether an element has come into view; once true, it stays true. */
export function useSeen(): [React.RefObject<HTMLDivElement>, boolean] {
  const ref = React.useRef<HTMLDivElement>(null);
  const [seen, setSeen] = React.useState(
    typeof IntersectionObserver === 'undefined'
  );
  React.useEffect(() => {
    if (seen || !ref.current) {
      return;
    }
    const observer = new IntersectionObserver(
      entries => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) {
          setSeen(true);
        }
      },
      { rootMargin: '200px' }
    );
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [seen]);
  return [ref, seen];
}

/**
 * Fetch while `enabled`, and again when `fetch` changes; an outdated fetch is
 * aborted.
 */
export function useFetched<T>(
  enabled: boolean,
  fetch: (signal: AbortSignal) => Promise<T>,
  unknown: string
): Loaded<T> {
  const [loaded, setLoaded] = React.useState<Loaded<T>>({ state: 'loading' });
  React.useEffect(() => {
    if (!enabled) {
      return;
    }
    const abort = new AbortController();
    fetch(abort.signal).then(
      value => {
        if (!abort.signal.aborted) {
          setLoaded({ state: 'ready', value });
        }
      },
      (reason: unknown) => {
        if (!abort.signal.aborted) {
          const why = reason instanceof Error ? reason.message : '';
          setLoaded({ state: 'failed', why: why || unknown });
        }
      }
    );
    return () => abort.abort();
  }, [enabled, fetch, unknown]);
  return loaded;
}

/** Draw again when the steps change or another step is shown. */
export function useSteps(model: MediaModel): {
  steps: readonly number[];
  step: number;
} {
  const [, redraw] = useRevision(model.changed);
  React.useEffect(redraw, [model]); // something may have come before
  return { steps: model.steps, step: model.step };
}
