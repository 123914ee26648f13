import type { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from './command-ids';

/**
 * Prefix of links in a profile's inline summary; such a link has no other
 * target.
 */
const LINK = '#genops-profile=';

/**
 * Open profiles from links in outputs. Opening a profile runs no code, so the
 * output need not be trusted.
 */
export function followSummaryLinks(commands: CommandRegistry): void {
  document.body.addEventListener(
    'click',
    event => {
      const link =
        event.target instanceof Element
          ? event.target.closest<HTMLAnchorElement>(`a[href^="${LINK}"]`)
          : null;
      const id = link?.getAttribute('href')?.slice(LINK.length);
      if (id) {
        event.preventDefault();
        event.stopPropagation();
        void commands.execute(CommandIDs.openProfile, {
          id: decodeURIComponent(id)
        });
      }
    },
    true
  );
}
