import type { TranslationBundle } from '@jupyterlab/translation';
import {
  caretLeftIcon,
  caretRightIcon,
  closeIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../../../core';
import { turned } from '../marks';
import type { TimelineModel } from '../model';

/** The marked moments and buttons to move between them; empty without any. */
export function Marks(props: {
  model: TimelineModel;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { model, trans } = props;
  const { marks } = model;
  if (!marks) {
    return null;
  }
  const alone = marks.moments.length < 2;
  // On the shown timeline: of the rank, or of all ranks.
  const turn = (by: 1 | -1) =>
    void model.mark({ ...turned(marks, by), together: model.isTogether });
  return (
    <div
      className="gol-Timeline-marks"
      role="group"
      aria-label={trans.__('Marked moments')}
    >
      <strong>{marks.title}</strong>
      <IconButton
        icon={caretLeftIcon}
        label={trans.__('Previous moment')}
        disabled={alone}
        onClick={() => turn(-1)}
      />
      <span role="status" className="gol-Timeline-found">
        {trans.__(
          'Moment %1 of %2',
          (marks.at + 1).toLocaleString(),
          marks.moments.length.toLocaleString()
        )}
      </span>
      <IconButton
        icon={caretRightIcon}
        label={trans.__('Next moment')}
        disabled={alone}
        onClick={() => turn(1)}
      />
      <IconButton
        icon={closeIcon}
        label={trans.__('Clear the marks')}
        onClick={() => void model.mark(null)}
      />
    </div>
  );
}
