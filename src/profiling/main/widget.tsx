import type { Message } from '@lumino/messaging';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Resource } from '../../core';
import { SeenView } from '../../core/ui/main-area';
import type { ProfilesService } from '../service';

import type { ICompared } from './difference/difference';
import { ProfileDifference } from './difference/difference';
import type { ProfileViewModel } from './model';
import { ProfileView } from './profile-view';

/** A view of profiles in the main area, which takes the focus where it opens. */
abstract class MainView extends SeenView {
  constructor() {
    super();
    this.addClass('gol-Profile');
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
export class ProfileWidget extends MainView {
  constructor(
    readonly model: ProfileViewModel,
    private _options: Omit<ProfileView.IProps, 'model'>
  ) {
    super();
  }

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  protected override setSeen(seen: boolean): void {
    this.model.visible = seen;
  }

  protected override render(): React.ReactElement {
    return <ProfileView model={this.model} {...this._options} />;
  }
}

/** Two profiles side by side in the main area. */
export class DifferenceWidget extends MainView {
  constructor(private _options: DifferenceWidget.IOptions) {
    super();
    const { service, trans, before, after } = _options;
    this.before = before;
    this.after = after;
    this.resource = new Resource<ICompared>({
      fetch: async signal => {
        const [one, other, difference] = await Promise.all([
          service.get(this.before, signal),
          service.get(this.after, signal),
          service.difference(this.before, this.after, signal)
        ]);
        return { before: one, after: other, difference };
      },
      trans
    });
  }

  before: string;
  after: string;
  readonly resource: Resource<ICompared>;

  override dispose(): void {
    this.resource.dispose();
    super.dispose();
  }

  protected override setSeen(seen: boolean): void {
    this.resource.visible = seen;
  }

  protected override render(): React.ReactElement {
    const { onOpen, onOpenRun, onSwapped, trans } = this._options;
    return (
      <ProfileDifference
        resource={this.resource}
        onOpen={onOpen}
        onOpenRun={onOpenRun}
        onSwap={() => {
          [this.before, this.after] = [this.after, this.before];
          onSwapped();
          void this.resource.refresh();
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
    /** They have changed places. */
    onSwapped: () => void;
    trans: TranslationBundle;
  }
}
