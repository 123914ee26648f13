/** Text for memory. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatBytes } from '../../../core';
import { formatMicroseconds } from '../../figures';
import { placeWords } from '../places';

import type { IMemoryMoment, ISite } from './service';

export function siteWords(site: ISite, trans: TranslationBundle): string {
  return site.place ? placeWords(site.place, trans) : site.name;
}

/** The same without the folders of its file, for narrow places. */
export function shortWords(site: ISite, trans: TranslationBundle): string {
  const { place } = site;
  return place && !place.cell
    ? placeWords({ ...place, file: place.file.replace(/^.*[/\\]/, '') }, trans)
    : siteWords(site, trans);
}

export function categoryWords(
  category: ISite['category'],
  trans: TranslationBundle
): string {
  const words: Record<ISite['category'], string> = {
    parameters: trans.__('Parameters'),
    activations: trans.__('Activations'),
    gradients: trans.__('Gradients'),
    optimizer: trans.__('Optimizer'),
    backward: trans.__('Backward pass'),
    autocast: trans.__('Dtype conversions'),
    '': ''
  };
  return words[category];
}

/** A moment: its event, and its time if it is known. */
export function momentWords(
  at: number,
  us: number | null,
  trans: TranslationBundle
): string {
  const event = trans.__('Event %1', at.toLocaleString());
  return us === null ? event : `${event}, ${formatMicroseconds(us)}`;
}

/** The change by the event of a moment. */
export function changeWords(
  { change }: Pick<IMemoryMoment, 'change'>,
  trans: TranslationBundle
): string {
  if (!change) {
    return '';
  }
  return change.bytes < 0
    ? trans.__('frees %1, %2', formatBytes(-change.bytes), change.name)
    : trans.__('allocates %1, %2', formatBytes(change.bytes), change.name);
}
