import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton } from '../../core';

/** The shown length of a long list. */
const FIRST = 20;

/**
 * The first items of a list, and the last list item with a button for the
 * others: hundreds of hosts would bury the targets below.
 */
export function useFirst<T>(
  items: readonly T[],
  trans: TranslationBundle
): { shown: readonly T[]; more: React.ReactElement | null } {
  const [all, setAll] = React.useState(false);
  if (items.length <= FIRST) {
    return { shown: items, more: null };
  }
  return {
    shown: all ? items : items.slice(0, FIRST),
    more: (
      <li key="more">
        <ActionButton
          label={
            all
              ? trans.__('Show the first %1', FIRST)
              : trans.__('Show all %1', items.length)
          }
          onClick={() => setAll(!all)}
        />
      </li>
    )
  };
}
