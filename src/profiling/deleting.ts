import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { choose, confirm, formatMoment } from '../core';

import type { IProfile, ProfilesService } from './service';

/** Delete a profile after a question; a dialog asks which one if `id` is empty. */
export async function deleteProfile(
  service: ProfilesService,
  id: string,
  trans: TranslationBundle
): Promise<void> {
  const profiles = await service.list();
  const profile = id
    ? profiles.find(each => each.id === id)
    : await choose({
        items: profiles,
        title: trans.__('Choose a profile to delete'),
        label: ({ title, created_at }) =>
          `${title} (${formatMoment(created_at)})`,
        none: trans.__('There are no profiles to delete.'),
        trans
      });
  if (profile && (await confirmDelete(profile, trans))) {
    const { left } = await service.delete(profile.id);
    if (left) {
      Notification.info(left, { autoClose: false });
    }
  }
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
