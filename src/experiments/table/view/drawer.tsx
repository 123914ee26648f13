import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../../../core';

/** A panel beside the table. Escape closes it. */
export function Drawer(props: Drawer.IProps): React.ReactElement {
  const { title, onClose, trans } = props;
  const id = React.useId();
  return (
    <section
      className="gol-RunTable-drawer"
      aria-labelledby={id}
      onKeyDown={event => {
        if (event.key === 'Escape' && !event.defaultPrevented) {
          event.stopPropagation();
          onClose();
        }
      }}
    >
      <header className="gol-RunTable-drawerHead">
        <h2 id={id} className="gol-RunTable-text" title={title}>
          {title}
        </h2>
        <IconButton
          icon={closeIcon}
          label={trans.__('Close')}
          onClick={onClose}
        />
      </header>
      <div className="gol-RunTable-drawerBody">{props.children}</div>
    </section>
  );
}

export namespace Drawer {
  export interface IProps {
    title: string;
    onClose: () => void;
    children: React.ReactNode;
    trans: TranslationBundle;
  }
}
