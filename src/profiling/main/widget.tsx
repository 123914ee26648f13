import type { Message } from '@lumino/messaging';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { FollowingView, Resource } from '../../core';
import type { ProfilesService } from '../service';

import type { ICompared } from './difference/difference';
import { ProfileDifference } from './difference/difference';
import type { ProfileViewModel } from './model';
import { PROFILE_CLASS, ProfileView } from './profile-view';

/** A view of profiles in the main area; it takes the focus when it opens. */
abstract class MainView<
  M extends { visible: boolean; dispose(): void }
> extends FollowingView<M> {
  constructor(model: M) {
    super(model);
    this.addClass(PROFILE_CLASS);
    this.node.tabIndex = -1;
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus({ preventScroll: true });
    }
  }
}

/** A profile in the main area. */
export class ProfileWidget extends MainView<ProfileViewModel> {
  constructor(
    model: ProfileViewModel,
    private _options: Omit<ProfileView.IProps, 'model'>
  ) {
    super(model);
  }

  protected override render(): React.ReactElement {
    return <ProfileView model={this.model} {...this._options} />;
  }
}

/** The difference of two profiles in the main area. */
export class DifferenceWidget extends MainView<Resource<ICompared>> {
  constructor(private _options: DifferenceWidget.IOptions) {
    const { service, trans, before, after } = _options;
    super(
      new Resource<ICompared>({
        fetch: async signal => {
          const [one, other, difference] = await Promise.all([
            service.get(this.before, signal),
            service.get(this.after, signal),
            service.difference(this.before, this.after, signal)
          ]);
          return { before: one, after: other, difference };
        },
        trans
      })
    );
    this.before = before;
    this.after = after;
  }

  before: string;
  after: string;

  protected override render(): React.ReactElement {
    const { onOpen, onOpenRun, onSwapped, trans } = this._options;
    return (
      <ProfileDifference
        resource={this.model}
        onOpen={onOpen}
        onOpenRun={onOpenRun}
        onSwap={() => {
          [this.before, this.after] = [this.after, this.before];
          onSwapped();
          void this.model.refresh();
        }}
        trans={trans}
      />
    );
  }
}

export namespace DifferenceWidget {
  export interface IOptions {
    service: Pick<ProfilesService, 'get' | 'difference'>;
    before: string;
    after: string;
    onOpen: (profileId: string) => void;
    onOpenRun: (runId: string) => void;
    /** Called when the profiles were swapped. */
    onSwapped: () => void;
    trans: TranslationBundle;
  }
}
