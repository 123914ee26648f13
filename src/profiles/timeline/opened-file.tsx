import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { Callout, Resource, ResourceView, StatusBadge } from '../../core';
import { SeenView } from '../../core/ui/main-area';

import { MemoryView } from '../main/memory/memory';
import { isSnapshot } from '../model';
import type { ICutQuery } from '../perfetto/service';
import type { IProfile } from '../service';
import { ProfilesService } from '../service';

import { TimelineModel } from './model';
import { TimelineService } from './service';
import { TimelineView } from './view/timeline';

/** A trace or snapshot out of the file browser: made a profile, then shown. */
export class OpenedFile extends SeenView {
  constructor(private _options: OpenedFile.IOptions) {
    super();
    this.addClass('gol-Timeline-host');
    const { core, ready } = _options;
    const profiles = new ProfilesService(core.api);
    this._timelines = new TimelineService(core.api);
    let id = '';
    this._profile = new Resource<IProfile>({
      fetch: async signal => {
        if (id) {
          return profiles.get(id, signal);
        }
        const profile = await this._timelines.open(await ready);
        id = profile.id;
        return profile;
      },
      events: core.events,
      kinds: ['profile'],
      // The analysis may end before the answer that names the profile is here.
      accepts: change => id === '' || change.id === '' || change.id === id,
      trans: core.trans
    });
    this._profile.changed.connect(this._onProfile, this);
  }

  override dispose(): void {
    this._profile.dispose();
    this._model?.dispose();
    super.dispose();
  }

  protected override setSeen(seen: boolean): void {
    this._seen = seen;
    this._profile.visible = seen;
    if (this._model) {
      this._model.visible = seen;
    }
  }

  protected override render(): React.ReactElement {
    const { core, onOverview } = this._options;
    const { trans } = core;
    return (
      <ResourceView
        resource={this._profile}
        trans={trans}
        down={trans.__('The file cannot be opened as a profile.')}
        empty={null}
      >
        {profile =>
          profile.summary?.memory && isSnapshot(profile) ? (
            <div className="gol-Profile">
              <MemoryView memory={profile.summary.memory} trans={trans} />
            </div>
          ) : profile.state === 'ready' && this._model ? (
            <>
              {onOverview && (
                <button
                  type="button"
                  className="gol-LinkButton gol-Timeline-overview"
                  onClick={() => onOverview(profile.id)}
                >
                  {trans.__('Show where the time went')}
                </button>
              )}
              <TimelineView model={this._model} trans={trans} />
            </>
          ) : (
            <Unready profile={profile} trans={trans} />
          )
        }
      </ResourceView>
    );
  }

  private _onProfile(): void {
    const profile = this._profile.value;
    if (profile?.state === 'ready' && !isSnapshot(profile) && !this._model) {
      this._model = new TimelineModel({
        profileId: profile.id,
        service: this._timelines,
        trans: this._options.core.trans,
        onPerfetto: asked => this._options.onPerfetto(profile.id, asked)
      });
      this._model.visible = this._seen;
      this.update();
    }
  }

  private _timelines: TimelineService;
  private _profile: Resource<IProfile>;
  private _model: TimelineModel | null = null;
  private _seen = false;
}

export namespace OpenedFile {
  export interface IOptions {
    core: IGenOpsCore;
    /** The path on the server, when the file is known to be there. */
    ready: Promise<string>;
    /** Opens the profile's own view; null where there is none. */
    onOverview: ((profileId: string) => void) | null;
    /** Shows a stretch of the profile in the Perfetto UI. */
    onPerfetto: (profileId: string, asked: ICutQuery) => void;
  }
}

function Unready(props: {
  profile: IProfile;
  trans: TranslationBundle;
}): React.ReactElement {
  const { profile, trans } = props;
  return profile.state === 'failed' ? (
    <Callout
      tone="error"
      title={trans.__('This file could not be read as a profile.')}
    >
      <>
        <p>{profile.message}</p>
        <p>
          {trans.__(
            'If it is something else, open it from the file browser: right click, Open With.'
          )}
        </p>
      </>
    </Callout>
  ) : (
    <p className="gol-Note">
      <StatusBadge
        tone="busy"
        label={trans.__(
          'The trace is being analyzed. This takes some seconds.'
        )}
      />
    </p>
  );
}
