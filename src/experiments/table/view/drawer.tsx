import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../../../core';

/** A panel beside the table. Escape closes it and gives the focus back to what opened it. */
export function Drawer(props: Drawer.IProps): React.ReactElement {
  const { title, onClose, trans } = props;
  const id = React.useId();
  const drawer = React.useRef<HTMLElement>(null);
  React.useLayoutEffect(() => {
    const opener = document.activeElement;
    return () => {
      if (drawer.current?.contains(document.activeElement)) {
        // A cell of the grid may stand for another row by now.
        const back = opener?.closest('.rdg')?.querySelector('[tabindex="0"]');
        ((back ?? opener) as HTMLElement | null)?.focus();
      }
    };
  }, []);
  return (
    <section
      ref={drawer}
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
