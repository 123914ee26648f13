import type { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from './command-ids';

/** What the address of a link in a profile's inline summary begins with; elsewhere such a link leads nowhere. */
const LINK = '#genops-profile=';

/** Open profiles from links in outputs. To open one asks the server and runs nothing, so no trust is needed. */
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
