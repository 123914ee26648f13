import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Tone } from '../../core';
import {
  Disclosure,
  EmptyState,
  RelativeTime,
  ResourceView,
  ShowMore,
  StatusBadge,
  formatBytes
} from '../../core';

import type { ProfilesModel } from '../model';
import type { IProfile } from '../service';

import { ProfileDetail } from './detail';

import '../../../style/profiling/section.css';

/** The section "Profiles". */
export function ProfilesSection(
  props: ProfilesSection.IProps
): React.ReactElement {
  const { model, trans, drive, onInsert } = props;
  return (
    <ResourceView
      resource={model.list}
      trans={trans}
      down={trans.__('Profiles cannot be read.')}
      keepMounted
      empty={
        <EmptyState
          text={trans.__(
            'No profiles yet. Put %1 at the top of a training cell to see where its time is spent.',
            '%%profile'
          )}
          actions={[
            {
              label: trans.__('Insert a %1 cell', '%%profile'),
              onClick: onInsert
            }
          ]}
        />
      }
    >
      {profiles => (
        <>
          <ul className="gol-List" aria-label={trans.__('Profiles')}>
            {profiles.map(profile => (
              <li key={profile.id}>
                <Disclosure
                  title={profile.title}
                  tip={profile.title}
                  meta={<ProfileMeta profile={profile} trans={trans} />}
                >
                  <ProfileDetail
                    profile={profile}
                    model={model}
                    trans={trans}
                    drive={drive}
                    onOpen={() => props.onOpen(profile.id)}
                    onCompare={() => props.onCompare(profile.id)}
                    onDelete={() => props.onDelete(profile.id)}
                  />
                </Disclosure>
              </li>
            ))}
          </ul>
          <ShowMore list={model.list} trans={trans} />
        </>
      )}
    </ResourceView>
  );
}

export namespace ProfilesSection {
  export interface IProps {
    model: ProfilesModel;
    trans: TranslationBundle;
    drive: ProfileDetail.IProps['drive'];
    onInsert: () => void;
    onOpen: (id: string) => void;
    onCompare: (id: string) => void;
    onDelete: (id: string) => void;
  }
}

function ProfileMeta(props: {
  profile: IProfile;
  trans: TranslationBundle;
}): React.ReactElement {
  const { profile, trans } = props;
  const states: Record<IProfile['state'], [Tone, string]> = {
    analyzing: ['busy', trans.__('Analyzing')],
    ready: ['ok', trans.__('Ready')],
    failed: ['error', trans.__('Failed')]
  };
  const [tone, label] = states[profile.state];
  return (
    <>
      {profile.state === 'ready' ? (
        <span className="gol-mod-wide">{formatBytes(profile.size_bytes)}</span>
      ) : (
        <StatusBadge tone={tone} label={label} caption={profile.message} />
      )}
      <RelativeTime seconds={profile.created_at} trans={trans} />
    </>
  );
}
