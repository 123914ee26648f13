import * as React from 'react';

import type { RenderRowProps } from '../../../core/ui/grid';
import { GridRow } from '../../../core/ui/grid';
import { levelOf } from '../groups';
import type { IRow } from '../rows';

/** Draws rows that lie in groups: assistive technology hears how deep, and which group is open. */
export function treeRow(
  levels: number
): (key: React.Key, props: RenderRowProps<IRow>) => React.ReactElement {
  return (key, props) => {
    const { group, id } = props.row;
    return (
      <GridRow
        key={key}
        {...props}
        aria-level={
          group || id !== null ? levelOf(props.row, levels) + 1 : undefined
        }
        aria-expanded={group?.open}
        aria-posinset={group?.position}
        aria-setsize={group?.siblings}
      />
    );
  };
}
