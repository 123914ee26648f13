import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PagedResource } from '../paging';
import type { Resource } from '../resource';

import { useLasting, useResource } from './hooks';
import { ActionButton } from './icon-button';
import { DownState, Loading } from './states';

const LATE_MS = 5000;

/**
 * Render a resource in each state: loading, down (with "Retry now"), empty, ready.
 */
export function ResourceView<T>(
  props: ResourceView.IProps<T>
): React.ReactElement {
  const { resource, trans } = props;
  const { state, value, error, busy } = useResource(resource);
  const late =
    useLasting(busy && props.late !== undefined, LATE_MS) && props.late;
  const down = state === 'down' && error !== undefined && (
    <DownState
      what={props.down}
      error={error}
      busy={busy}
      trans={trans}
      onRetry={() => void resource.refresh()}
    />
  );
  // Nothing to keep of a list that was empty.
  const kept = value !== undefined && !(Array.isArray(value) && !value.length);
  if (props.keepMounted && kept && (down || state === 'ready')) {
    return (
      <>
        {down || (late && <Late text={late} />)}
        <div className={down ? 'gol-mod-stale' : 'gol-Kept'}>
          {props.children(value)}
        </div>
      </>
    );
  }
  if (down) {
    return down;
  }
  if (value === undefined || state === 'loading') {
    return (
      <>
        <Loading trans={trans} />
        {late && <Late text={late} />}
      </>
    );
  }
  if (state === 'empty') {
    return <>{props.empty}</>;
  }
  return (
    <>
      {late && <Late text={late} />}
      {props.children(value)}
    </>
  );
}

function Late(props: { text: string }): React.ReactElement {
  return (
    <p className="gol-Note" role="status">
      {props.text}
    </p>
  );
}

export namespace ResourceView {
  export interface IProps<T> {
    resource: Resource<T>;
    trans: TranslationBundle;
    /** Title when the backend is down, as a sentence. */
    down: string;
    /** Shown after 5 s without an answer, as a sentence: what is slow, and what is waited for. */
    late?: string;
    /** Shown for an empty value: an EmptyState. */
    empty: React.ReactNode;
    /**
     * While down, show the last value, dimmed, below the message. What is drawn
     * stays what it is, with all that was chosen in it, when it goes down and comes back.
     */
    keepMounted?: boolean;
    children: (value: T) => React.ReactNode;
  }
}

/** The "Show more" button below a list; absent on the last page. */
export function ShowMore<T>(props: {
  list: PagedResource<T>;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { list, trans } = props;
  const [loading, setLoading] = React.useState(false);
  useResource(list);
  if (!list.hasMore) {
    return null;
  }
  const onClick = async () => {
    setLoading(true);
    await list.showMore();
    setLoading(false);
  };
  return (
    <div className="gol-ShowMore">
      <ActionButton
        label={loading ? trans.__('Loading…') : trans.__('Show more')}
        onClick={() => void (loading || onClick())}
      />
    </div>
  );
}
