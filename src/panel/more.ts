import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';

import type { GenOpsPanel } from './panel';

export namespace SectionCommands {
  export const toggle = 'genops:toggle-section';
  export const hide = 'genops:hide-section';
  export const reset = 'genops:reset-panel';
}

/** Pages that features open in the main area or in a tab of the browser. */
const PAGES: readonly { command: string; room?: string }[] = [
  { command: 'genops:open-runs' },
  { command: 'genops:open-sweeps' },
  { command: 'genops:open-profiles', room: 'profiles' },
  { command: 'genops:open-mlflow' },
  { command: 'genops:diagnose' },
  { command: 'genops:open-quickstart' }
];

/** Adds the commands that show and hide sections, and opens the menu More, which has them and links to pages. */
export class MoreMenu {
  constructor(
    private _app: JupyterFrontEnd,
    private _panel: GenOpsPanel,
    private _trans: TranslationBundle
  ) {
    this._addCommands();
    this._app.contextMenu.addItem({
      command: SectionCommands.hide,
      selector: '.gol-Section-heading',
      rank: 0
    });
  }

  /** Open the menu above a button, which has the focus again when the menu closes. */
  open(anchor: HTMLElement): void {
    const { commands } = this._app;
    const menu = new MenuSvg({ commands });
    menu.title.label = this._trans.__('More sections');
    menu.addClass('gol-MoreMenu');
    for (const { options } of this._panel.sections) {
      if (this._panel.offers(options.id)) {
        const args = { section: options.id };
        menu.addItem({ command: SectionCommands.toggle, args });
      }
    }
    const separator = { type: 'separator' } as const;
    menu.addItem(separator);
    for (const { command, room } of PAGES) {
      if (commands.hasCommand(command) && (!room || this._panel.offers(room))) {
        menu.addItem({ command });
      }
    }
    menu.addItem(separator);
    menu.addItem({ command: SectionCommands.reset });
    anchor.setAttribute('aria-expanded', 'true');
    menu.aboutToClose.connect(() => {
      anchor.setAttribute('aria-expanded', 'false');
      anchor.focus({ preventScroll: true });
      // The menu is still needed while its command runs.
      window.setTimeout(() => menu.dispose());
    });
    const { left, top } = anchor.getBoundingClientRect();
    menu.open(left, top);
  }

  private _addCommands(): void {
    const { commands } = this._app;
    const panel = this._panel;
    const trans = this._trans;
    const args = {
      type: 'object',
      properties: {
        section: {
          type: 'string',
          description: trans.__('The section, such as models')
        }
      }
    } as const;
    const sectionOf = (id: unknown) =>
      typeof id === 'string' ? panel.section(id) : undefined;

    commands.addCommand(SectionCommands.toggle, {
      label: ({ section }) =>
        sectionOf(section)?.options.title ?? trans.__('Show or Hide a Section'),
      caption: trans.__('Show this section, or hide it'),
      describedBy: { args },
      isToggleable: true,
      isToggled: ({ section }) => sectionOf(section)?.isHidden === false,
      isVisible: ({ section }) => sectionOf(section) !== undefined,
      execute: ({ section }) => {
        const found = sectionOf(section);
        if (found?.isHidden) {
          panel.reveal(found.options.id);
        } else if (found) {
          panel.setSectionHidden(found.options.id, true);
        }
      }
    });

    /** The section whose heading was clicked with the right button. */
    const clicked = () =>
      sectionOf(
        this._app.contextMenuHitTest(node => 'section' in node.dataset)?.dataset
          .section
      );
    commands.addCommand(SectionCommands.hide, {
      label: ({ section }) => {
        const title = (sectionOf(section) ?? clicked())?.options.title;
        return title
          ? trans.__('Hide “%1”', title)
          : trans.__('Hide the Section');
      },
      caption: trans.__('Hide this section; More sections shows it again'),
      describedBy: { args },
      isVisible: ({ section }) =>
        (sectionOf(section) ?? clicked()) !== undefined,
      execute: ({ section }) => {
        const found = sectionOf(section) ?? clicked();
        if (found) {
          panel.setSectionHidden(found.options.id, true);
        }
      }
    });

    commands.addCommand(SectionCommands.reset, {
      label: trans.__('Reset the Sections of the Panel'),
      caption: trans.__('Show the sections as at first'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => panel.reset()
    });
  }
}
