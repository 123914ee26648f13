import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { MOST_BYTES, imageType } from '../../comparison/previews';
import { formatBytes } from '../../../core';
import type { IMediaEntry, MediaService } from '../service';

import { useFetched, useSeen } from './hooks';

/**
 * Pictures of one step that are drawn; a run may have any number under a name.
 */
const MOST = 24;

/** The pictures of one name, run and step. */
export function Pictures(props: Pictures.IProps): React.ReactElement {
  const { entries, trans } = props;
  const more = entries.length - MOST;
  return (
    <>
      <div className="gol-Media-pictures">
        {entries.slice(0, MOST).map((entry, index) => (
          // A place keeps its element, so that the next step's picture replaces
          // it without a gap.
          <OnePicture
            {...props}
            key={index}
            entry={entry}
            label={
              entries.length > 1
                ? trans.__(
                    '%1, %2 of %3',
                    props.label,
                    index + 1,
                    entries.length
                  )
                : props.label
            }
          />
        ))}
      </div>
      {more > 0 && (
        <p className="gol-Media-quiet">
          {trans._n('%1 more picture', '%1 more pictures', more)}
        </p>
      )}
    </>
  );
}

export namespace Pictures {
  export interface IProps {
    runId: string;
    entries: readonly IMediaEntry[];
    /** A label for screen readers. */
    label: string;
    service: Pick<MediaService, 'artifact' | 'artifactUrl'>;
    trans: TranslationBundle;
  }
}

function OnePicture(
  props: Pictures.IProps & { entry: IMediaEntry }
): React.ReactElement {
  const { runId, entry, label, service, trans } = props;
  const [ref, seen] = useSeen();
  const isLarge = (entry.size_bytes ?? 0) > MOST_BYTES.image;
  const path = isLarge && entry.small ? entry.small : entry.path;
  const fetch = React.useCallback(
    async (signal: AbortSignal) => {
      const bytes =
        isLarge && path === entry.path
          ? null
          : await service.artifact(runId, path, MOST_BYTES.image, signal);
      if (!bytes) {
        throw new Error(
          trans.__(
            'This picture is larger than %1. Download it to view it.',
            formatBytes(MOST_BYTES.image)
          )
        );
      }
      return { blob: new Blob([bytes], { type: imageType(path) }), label };
    },
    [service, runId, path, label, isLarge, entry.path, trans]
  );
  const loaded = useFetched(
    seen,
    fetch,
    trans.__('This picture cannot be read.')
  );
  const picture = loaded.state === 'ready' ? loaded.value : null;
  // The label fits the visible picture: the earlier one, until the next has
  // come.
  const [shown, setShown] = React.useState<{
    url: string;
    label: string;
  } | null>(null);
  React.useEffect(() => {
    if (!picture) {
      setShown(null);
      return;
    }
    const url = URL.createObjectURL(picture.blob);
    setShown({ url, label: picture.label });
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  return (
    <div ref={ref} className="gol-Media-picture">
      {loaded.state === 'failed' ? (
        <p className="gol-Field-error">{loaded.why}</p>
      ) : (
        shown && (
          <a
            href={service.artifactUrl(runId, entry.path)}
            download=""
            title={trans.__('Download %1', shown.label)}
          >
            <img src={shown.url} alt={shown.label} />
          </a>
        )
      )}
    </div>
  );
}
