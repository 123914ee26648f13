import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton } from '../../../core';
import type { TimelineModel } from '../model';

import { savePicture } from './picture';
import { RankPicker } from './rank-picker';
import { TimelineSearch } from './search';

/** What stands above a timeline. The choice of a rank stays while that rank's timeline is made, and keeps the focus. */
export function TimelineBar(props: {
  model: TimelineModel;
  /** Of what is saved as a picture. */
  node: React.RefObject<HTMLElement>;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { model, node, trans } = props;
  const ranks = model.rankNumbers;
  const isShown = (model.timeline?.lanes ?? []).length > 0;
  if (!isShown && ranks.length < 2) {
    return null;
  }
  return (
    <div className="gol-Timeline-bar">
      <RankPicker
        ranks={ranks}
        rank={model.rank}
        all={trans.__('All ranks')}
        onRank={rank => model.showRank(rank)}
        trans={trans}
      />
      {isShown && <TimelineSearch model={model} trans={trans} />}
      {isShown && (
        <div className="gol-Timeline-actions">
          {model.hasPerfetto && (
            <ActionButton
              label={
                model.isTogether
                  ? trans.__('Perfetto, rank %1', model.chosenRank)
                  : trans.__('Perfetto')
              }
              caption={trans.__(
                'Look at what is seen here, and at the selected slice, in the Perfetto UI (P)'
              )}
              onClick={() => model.openPerfetto()}
            />
          )}
          <ActionButton
            label={trans.__('Whole trace')}
            onClick={() => model.showAll()}
          />
          <ActionButton
            label={trans.__('PNG')}
            caption={trans.__('Save what is seen of the timeline as a PNG')}
            onClick={() => {
              if (node.current) {
                const title = trans.__('Timeline');
                void savePicture(node.current, model, title, trans);
              }
            }}
          />
        </div>
      )}
    </div>
  );
}
