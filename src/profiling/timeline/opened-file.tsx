import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { Resource, ResourceView } from '../../core';
import { SeenView } from '../../core/ui/main-area';
import type { ProfileViewModel } from '../main/model';
import type { IPlaces } from '../main/places';
import type { ProfileView } from '../main/profile-view';
import type { ProfilesService } from '../service';

import { TimelineService } from './service';

/** The view of a profile, when its code is loaded and the profile is known. */
interface IShown {
  readonly model: ProfileViewModel;
  readonly View: typeof ProfileView;
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
    this.addClass('gol-Profile');
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
    const { core, places, actions, onFolder } = this._options;
    const { api, trans } = core;
    return (
      <ResourceView
        resource={this._shown}
        trans={trans}
        down={trans.__('The file cannot be opened as a profile.')}
        empty={null}
      >
        {({ model, View, traces }) => (
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
    const { core, service, ready, beside } = this._options;
    const [
      profile,
      traces,
      { ProfileView: View },
      { ProfileViewModel: Model }
    ] = await Promise.all([
      ready.then(path => new TimelineService(core.api).open(path)),
      ready.then(beside),
      import('../main/profile-view'),
      import('../main/model')
    ]);
    const { events, trans } = core;
    const model = new Model({ id: profile.id, service, events, trans });
    model.visible = this._seen;
    return { model, View, traces };
  }

  private _shown: Resource<IShown>;
  private _seen = false;
}

export namespace OpenedFile {
  export interface IOptions {
    core: IGenOpsCore;
    service: ProfilesService;
    places: IPlaces;
    actions: ProfileView.IActions;
    /** The path on the server, when the file is known to exist. */
    ready: Promise<string>;
    /** Number of traces in the file's folder, with the file itself. */
    beside: () => Promise<number>;
    /** Open all traces of the file's folder as ranks of one run. */
    onFolder: () => void;
  }
}
