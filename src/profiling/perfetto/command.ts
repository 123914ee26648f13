import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { WidgetTracker } from '@jupyterlab/apputils';

import type { IGenOpsCore } from '../../core';
import { definer, profileIcon, textArg, textOf } from '../../core';

import type { ICutQuery } from './service';
import type { PerfettoWidget } from './widget';

export namespace CommandIDs {
  export const openPerfetto = 'genops:profile-perfetto';
}

/** Returns a function that opens a period of this profile. */
export function perfettoOpener(
  { commands }: JupyterFrontEnd,
  id: string
): (asked: ICutQuery) => void {
  return asked =>
    void commands.execute(CommandIDs.openPerfetto, { id, ...asked });
}

/**
 * Add the command that opens a period of a profile's timeline in the Perfetto
 * UI, with one view per profile.
 */
export function addPerfetto(
  app: JupyterFrontEnd,
  core: IGenOpsCore,
  restorer: ILayoutRestorer | null
): void {
  const { trans } = core;
  const tracker = new WidgetTracker<MainAreaWidget<PerfettoWidget>>({
    namespace: 'genops-perfetto'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openPerfetto,
    name: ({ id }) => id,
    args: ({ content: { profileId, model } }) => ({
      id: profileId,
      ...model.asked
    })
  });
  definer(
    app,
    null,
    trans
  )(CommandIDs.openPerfetto, {
    label: trans.__('Open in Perfetto'),
    caption: trans.__(
      'Show a part of a profile’s timeline in the Perfetto UI, offline'
    ),
    icon: profileIcon,
    // The command needs a period, which a palette does not have.
    isVisible: () => false,
    args: {
      id: textArg(trans.__('The id of the profile')),
      first_us: {
        type: 'number',
        description: trans.__(
          'Start of the part, in microseconds after the first event'
        )
      },
      last_us: {
        type: 'number',
        description: trans.__(
          'End of the part, in microseconds after the first event'
        )
      },
      slice: {
        type: 'number',
        description: trans.__('The number of the slice to select')
      },
      rank: {
        type: 'number',
        description: trans.__(
          'The rank whose trace is shown, if there are several'
        )
      }
    },
    execute: async args => {
      const id = textOf(args.id);
      const asked = {
        first_us: Number(args.first_us),
        last_us: Number(args.last_us),
        slice: typeof args.slice === 'number' ? args.slice : null,
        rank: typeof args.rank === 'number' ? args.rank : null
      };
      if (!id || !(asked.first_us < asked.last_us)) {
        return undefined;
      }
      const { openPerfetto } = await import('./open');
      return openPerfetto(app, core, tracker, id, asked);
    }
  });
}
