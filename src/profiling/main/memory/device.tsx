import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IPlaces } from '../places';

import { Holders } from './holders';
import { HeldModel } from './model';
import type { IHeldTimeline, MemoryService } from './service';
import { MemoryTimeline } from './timeline';

/** One device's memory over time, and beside it who held it at the moment that is looked at. */
export function HeldDevice(props: {
  profileId: string;
  timeline: IHeldTimeline;
  service: MemoryService;
  name: string;
  places: IPlaces;
  notebook: string;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { profileId, timeline, service, trans } = props;
  const [model, setModel] = React.useState<HeldModel | null>(null);
  React.useEffect(() => {
    const made = new HeldModel({ profileId, timeline, service, trans });
    made.look(made.at);
    setModel(made);
    return () => made.dispose();
  }, [profileId, timeline, service]);
  return (
    model && (
      <div className="gol-Memory-device">
        <MemoryTimeline model={model} name={props.name} trans={trans} />
        <Holders
          model={model}
          name={props.name}
          places={props.places}
          notebook={props.notebook}
          trans={trans}
        />
      </div>
    )
  );
}
