import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton } from '../../../core';
import { fileName, save } from '../../../core/charts/files';
import type { TimelineModel } from '../model';
import { AXIS_PX } from '../painter';

import { groupWords } from './messages';
import { RankPicker } from './rank-picker';
import { TimelineSearch } from './search';

/**
 * The bar above a timeline. The rank picker stays, with the focus, while the
 * timeline of a rank loads.
 */
export function TimelineBar(props: {
  model: TimelineModel;
  /** The element that is saved as a picture. */
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
                'Show the visible part and the selected slice in the Perfetto UI (P)'
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
            caption={trans.__(
              'Save the visible part of the timeline as a PNG image'
            )}
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

const HEADS_PX = 200;
const LINE_PX = 17;

/**
 * Save the visible timeline, with the names of lanes and the memory, as a PNG.
 */
async function savePicture(
  node: HTMLElement,
  model: TimelineModel,
  title: string,
  trans: TranslationBundle
): Promise<void> {
  const [lanes, ...strips] = [...node.querySelectorAll('canvas')];
  const ratio = lanes.width / model.view.width;
  const picture = document.createElement('canvas');
  picture.width = lanes.width + HEADS_PX * ratio;
  picture.height = [lanes, ...strips].reduce(
    (sum, { height }) => sum + height,
    0
  );
  const context = picture.getContext('2d')!;
  const style = getComputedStyle(node);
  context.fillStyle = style.getPropertyValue('--jp-layout-color1').trim();
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(lanes, HEADS_PX * ratio, 0);
  context.scale(ratio, ratio);
  context.font = `12px ${style.fontFamily}`;
  context.textBaseline = 'middle';
  context.fillStyle = style.color;
  const write = (text: string, x: number, y: number) =>
    context.fillText(text, x, y, HEADS_PX - x - 6);
  const { placed, scroll, height } = model;
  const inView = ({ top }: { top: number }) =>
    top >= scroll && top < scroll + height;
  const y = (top: number) => AXIS_PX + top - scroll + LINE_PX / 2;
  for (const group of placed.groups.filter(inView)) {
    write(groupWords(group, trans), 4, y(group.top));
  }
  for (const { label, top } of placed.lanes.filter(inView)) {
    write(label, 20, y(top));
  }
  let top = lanes.height / ratio;
  for (const strip of strips) {
    context.drawImage(
      strip,
      HEADS_PX,
      top,
      model.view.width,
      strip.height / ratio
    );
    write(strip.getAttribute('aria-label') ?? '', 4, top + LINE_PX);
    top += strip.height / ratio;
  }
  const blob = await new Promise<Blob | null>(done =>
    picture.toBlob(done, 'image/png')
  );
  if (blob) {
    save(blob, `${fileName(title)}.png`);
  }
}
