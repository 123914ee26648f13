import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { FollowingView } from '../../core';
import type { ICutQuery } from '../perfetto/service';

import { TimelineModel } from './model';
import { TimelineService } from './service';
import { TimelineView } from './view/timeline';

/**
 * The timeline of a profile in the main area. It draws and requests nothing
 * while it is not visible.
 */
export class TimelineWidget extends FollowingView<TimelineModel> {
  constructor(
    private _core: IGenOpsCore,
    readonly profileId: string,
    onPerfetto: (asked: ICutQuery) => void
  ) {
    super(
      new TimelineModel({
        profileId,
        service: new TimelineService(_core.api),
        trans: _core.trans,
        onPerfetto
      })
    );
    this.addClass('gol-Timeline-host');
  }

  protected override render(): React.ReactElement {
    return <TimelineView model={this.model} trans={this._core.trans} />;
  }
}
