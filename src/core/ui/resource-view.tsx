import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Resource } from '../resource';

import { useResource } from './hooks';
import { DownState } from './states';

/**
 * A resource in each of its states, so that no view forgets one: loading, down
 * (with "Retry now"), empty and ready.
 */
export function ResourceView<T>(
  props: ResourceView.IProps<T>
): React.ReactElement {
  const { resource, trans } = props;
  const { state, value, error, busy } = useResource(resource);
  if (state === 'down' && error) {
    return (
      <>
        <DownState
          what={props.down}
          error={error}
          busy={busy}
          trans={trans}
          onRetry={() => void resource.refresh()}
        />
        {value !== undefined && props.keepWhenDown && (
          <div className="gol-mod-stale">{props.children(value)}</div>
        )}
      </>
    );
  }
  if (value === undefined || state === 'loading') {
    return (
      <div className="gol-Loading" role="status">
        <span className="gol-Loading-bar" aria-hidden="true" />
        <span className="gol-VisuallyHidden">{trans.__('Loading…')}</span>
      </div>
    );
  }
  if (state === 'empty') {
    return <>{props.empty}</>;
  }
  return <>{props.children(value)}</>;
}

export namespace ResourceView {
  export interface IProps<T> {
    resource: Resource<T>;
    trans: TranslationBundle;
    /** What cannot be shown, as a sentence, when the backend is down. */
    down: string;
    /** Shown when there is nothing, an EmptyState. */
    empty: React.ReactNode;
    /** Show the last value, dimmed, below the message while down. */
    keepWhenDown?: boolean;
    children: (value: T) => React.ReactNode;
  }
}
