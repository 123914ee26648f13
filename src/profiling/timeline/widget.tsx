import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { SeenView } from '../../core/ui/main-area';
import type { ICutQuery } from '../perfetto/service';

import { TimelineModel } from './model';
import { TimelineService } from './service';
import { TimelineView } from './view/timeline';

/** The timeline of a profile in the main area. It draws and asks for nothing while it is not seen. */
export class TimelineWidget extends SeenView {
  constructor(
    private _core: IGenOpsCore,
    readonly profileId: string,
    onPerfetto: (asked: ICutQuery) => void
  ) {
    super();
    this.addClass('gol-Timeline-host');
    this.model = new TimelineModel({
      profileId,
      service: new TimelineService(_core.api),
      trans: _core.trans,
      onPerfetto
    });
  }

  readonly model: TimelineModel;

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  protected override setSeen(seen: boolean): void {
    this.model.visible = seen;
  }

  protected override render(): React.ReactElement {
    return <TimelineView model={this.model} trans={this._core.trans} />;
  }
}
