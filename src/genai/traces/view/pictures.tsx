import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { components } from '../../../api/generated';
import { isShown } from '../pictures';

import '../../../../style/genai/picture.css';

/** The pictures of a turn or of a row. A note says why a picture is not shown. */
export function Pictures(props: {
  pictures: readonly components['schemas']['Picture'][];
  /** Read aloud in place of the picture's number. */
  label?: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { pictures, label, trans } = props;
  return (
    <>
      {pictures.map(({ url = '', note }, place) =>
        isShown(url) ? (
          <img
            key={place}
            className="gol-Picture"
            src={url}
            alt={label ?? trans.__('Picture %1 of this turn', place + 1)}
          />
        ) : (
          <p key={place} className="gol-Note">
            {note || trans.__('This picture cannot be shown.')}
          </p>
        )
      )}
    </>
  );
}
