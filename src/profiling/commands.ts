import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, deleteIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { DisposableSet } from '@lumino/disposable';

import { ApiError, confirm, formatMoment, titled } from '../core';
import { insertCells } from '../core/notebook';

import type { ProfilesModel } from './model';
import type { IProfile } from './service';

export namespace CommandIDs {
  export const insert = 'genops:insert-profile-cell';
  export const remove = 'genops:delete-profile';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  model: ProfilesModel;
  trans: TranslationBundle;
  notebooks: INotebookTracker | null;
  palette: ICommandPalette | null;
}

/** Add the commands of profiles. @returns a disposable that removes them. */
export function addCommands(options: ICommandsOptions): IDisposable {
  const { app, model, trans, notebooks, palette } = options;
  const { commands } = app;
  const added = new DisposableSet();

  added.add(
    commands.addCommand(CommandIDs.insert, {
      label: trans.__('Insert a Cell That Profiles'),
      caption: trans.__(
        'Insert a cell with %1 below the active cell, to profile a training loop',
        '%%profile'
      ),
      icon: addIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        const starter = [
          '%%profile',
          trans.__('# Run a few training steps here: 5 to 20 are enough.')
        ].join('\n');
        await insertCells(['%load_ext genops_lab', starter], {
          commands,
          notebooks
        });
      }
    })
  );

  added.add(
    commands.addCommand(CommandIDs.remove, {
      label: trans.__('Delete a Profile…'),
      caption: trans.__('Delete a profile and its trace'),
      icon: deleteIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            id: {
              type: 'string',
              description: trans.__(
                'The id of the profile; a dialog asks when it is missing'
              )
            }
          }
        }
      },
      execute: async args => {
        try {
          const profile = await choose(model, args.id, trans);
          if (profile && (await confirmDelete(profile, trans))) {
            const { left } = await model.service.delete(profile.id);
            if (left) {
              Notification.info(left, { autoClose: false });
            }
            await model.list.refresh();
          }
        } catch (reason) {
          const error = ApiError.from(reason, trans);
          Notification.error(`${error.message} ${error.hint}`.trim());
        }
      }
    })
  );

  for (const command of [CommandIDs.insert, CommandIDs.remove]) {
    const item = palette?.addItem({
      command,
      category: trans.__('GenOps Lab')
    });
    if (item) {
      added.add(item);
    }
  }
  return added;
}

async function choose(
  model: ProfilesModel,
  id: unknown,
  trans: TranslationBundle
): Promise<IProfile | undefined> {
  const profiles = await model.service.list();
  if (typeof id === 'string' && id) {
    return profiles.find(profile => profile.id === id);
  }
  if (profiles.length === 0) {
    Notification.info(trans.__('There are no profiles to delete.'));
    return undefined;
  }
  const labels = profiles.map(
    (profile, index) =>
      `${index + 1}. ${profile.title} (${formatMoment(profile.created_at)})`
  );
  const { button, value } = await titled(
    trans.__('Choose a profile to delete'),
    title =>
      InputDialog.getItem({ title, items: labels, okLabel: trans.__('Choose') })
  );
  return button.accept && value !== null
    ? profiles[labels.indexOf(value)]
    : undefined;
}

function confirmDelete(
  profile: IProfile,
  trans: TranslationBundle
): Promise<boolean> {
  const { trace_target, artifact } = profile;
  return confirm({
    title: trans.__('Delete the profile “%1”?', profile.title),
    body: trace_target
      ? trans.__(
          'This deletes the profile. A trace that a profiled cell wrote on %1 is deleted too; a file of your own stays. This cannot be undone.',
          trace_target
        )
      : artifact
        ? trans.__(
            'This deletes the profile and its trace from the Lab. The copy in the artifacts of its run stays. This cannot be undone.'
          )
        : trans.__(
            'This deletes the profile and its trace. This cannot be undone.'
          ),
    action: trans.__('Delete'),
    danger: true,
    trans
  });
}
