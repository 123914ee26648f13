import type { TranslationBundle } from '@jupyterlab/translation';

import { columnLabel } from '../../table/column-messages';
import type { ICard } from '../cards';
import type { ISmoothing } from '../service';

/** Return the title of a card. */
export function cardTitle(card: ICard, trans: TranslationBundle): string {
  const label = (column: string) => columnLabel(column, trans);
  switch (card.kind) {
    case 'curves':
      return card.metric;
    case 'scatter':
      return trans.__('%1 against %2', label(card.y), label(card.x));
    case 'bar':
      return card.by
        ? trans.__('%1 by %2', label(card.value), label(card.by))
        : label(card.value);
    case 'parallel':
      return trans.__(
        'Parameters and %1',
        label(card.columns[card.columns.length - 1])
      );
    case 'importance':
      return trans.__('Parameter importance for %1', card.metric);
  }
}

export function kindWord(
  kind: ICard['kind'],
  trans: TranslationBundle
): string {
  switch (kind) {
    case 'curves':
      return trans.__('Curves');
    case 'scatter':
      return trans.__('Scatter');
    case 'bar':
      return trans.__('Bars');
    case 'parallel':
      return trans.__('Parallel coordinates');
    case 'importance':
      return trans.__('Parameter importance');
  }
}

/** Return the smoothing as text for an export; empty without one. */
export function smoothingWord(
  { kind = 'none', amount = 0 }: ISmoothing,
  trans: TranslationBundle
): string {
  switch (kind) {
    case 'ema':
      return trans.__('moving average, weight %1', amount);
    case 'mean':
      return trans.__('mean of %1 points', amount);
    default:
      return '';
  }
}
