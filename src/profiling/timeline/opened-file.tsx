import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { Resource, ResourceView } from '../../core';
import { SeenView } from '../../core/ui/main-area';
import type { IAround } from '../main/around';
import type { ProfileViewModel } from '../main/model';
import type { ProfileView } from '../main/profile-view';
import type { IProfile, ProfilesService } from '../service';

/** The view of a profile, when its code is loaded and the profile is known. */
interface IShown {
  readonly model: ProfileViewModel;
  readonly View: typeof ProfileView;
  readonly around: IAround;
  /** Number of traces in its folder. */
  readonly traces: number;
}

/**
 * A trace or snapshot from the file browser: made a profile, then shown like
 * any other.
 */
export class OpenedFile extends SeenView {
  constructor(private _options: OpenedFile.IOptions) {
    super();
    this._shown = new Resource<IShown>({
      fetch: () => this._open(),
      trans: _options.core.trans
    });
  }

  override dispose(): void {
    this._shown.value?.model.dispose();
    this._shown.dispose();
    super.dispose();
  }

  protected override setSeen(seen: boolean): void {
    this._seen = seen;
    this._shown.visible = seen;
    if (this._shown.value) {
      this._shown.value.model.visible = seen;
    }
  }

  protected override render(): React.ReactElement {
    const { core, onFolder } = this._options;
    const { api, trans } = core;
    return (
      <ResourceView
        resource={this._shown}
        trans={trans}
        down={trans.__('The file cannot be opened as a profile.')}
        empty={null}
      >
        {({ model, View, around: { places, actions }, traces }) => (
          <View
            model={model}
            places={places}
            actions={actions}
            api={api}
            trans={trans}
            folder={traces > 1 ? { traces, open: onFolder } : undefined}
            hint={trans.__(
              'To open the file as something else, right-click it in the file browser and choose Open With.'
            )}
          />
        )}
      </ResourceView>
    );
  }

  private async _open(): Promise<IShown> {
    const { core, service, ready, beside, around } = this._options;
    const [
      profile,
      traces,
      { ProfileView: View, PROFILE_CLASS },
      { ProfileViewModel: Model },
      shared
    ] = await Promise.all([
      this._profile(),
      ready.then(beside),
      import('../main/profile-view'),
      import('../main/model'),
      around()
    ]);
    const { events, trans } = core;
    const model = new Model({ id: profile.id, service, events, trans });
    model.visible = this._seen;
    this.addClass(PROFILE_CLASS);
    return { model, View, around: shared, traces };
  }

  private async _profile(): Promise<IProfile> {
    const { core, ready } = this._options;
    const { TimelineService } = await import('./service');
    return new TimelineService(core.api).open(await ready);
  }

  private _shown: Resource<IShown>;
  private _seen = false;
}

export namespace OpenedFile {
  export interface IOptions {
    core: IGenOpsCore;
    service: ProfilesService;
    around: () => Promise<IAround>;
    /** The path on the server, when the file is known to exist. */
    ready: Promise<string>;
    /** Number of traces in the file's folder, with the file itself. */
    beside: () => Promise<number>;
    /** Open all traces of the file's folder as ranks of one run. */
    onFolder: () => void;
  }
}
