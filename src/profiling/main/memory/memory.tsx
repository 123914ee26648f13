import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { GenOpsApi } from '../../../core';
import {
  Callout,
  DataTable,
  DownState,
  Facts,
  Resource,
  formatBytes
} from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IProfileSummary } from '../../service';
import { DownloadButton } from '../download';
import type { IPlaces } from '../places';

import { Holders } from './holders';
import { MemoryModel } from './model';
import type { IMemoryTimeline } from './service';
import { MemoryService } from './service';
import { categoryWords, siteWords } from './messages';
import { MemoryTimeline } from './timeline';

type IMemory = NonNullable<IProfileSummary['memory']>;
type IDeviceMemory = IMemory['devices'][number];
type ISite = IDeviceMemory['sites'][number];

/**
 * A device's memory: over time, by line at the peak, and at failed allocations.
 */
export function MemoryView(props: MemoryView.IProps): React.ReactElement {
  const { memory, profileId, api, seen, trans } = props;
  const service = React.useMemo(() => new MemoryService(api), [api]);
  // A profile does not change: loaded once, when it is first seen.
  const timelines = React.useMemo(
    () =>
      new Resource<IMemoryTimeline[]>({
        fetch: signal => service.timelines(profileId, signal),
        trans
      }),
    [service, profileId]
  );
  React.useEffect(() => () => timelines.dispose(), [timelines]);
  React.useEffect(() => {
    timelines.visible = seen;
  }, [timelines, seen]);
  const { value, state, error, busy } = useResource(timelines);
  return (
    <div className="gol-Memory">
      {memory.damaged && (
        <Callout
          tone="warning"
          title={trans.__('The memory snapshot is damaged.')}
        >
          {memory.damaged}
        </Callout>
      )}
      {memory.out_of_memory.map((failed, place) => (
        <Callout
          key={place}
          tone="error"
          title={trans.__(
            'Out of memory on device %1: %2 requested, %3 free.',
            failed.device,
            formatBytes(failed.wanted),
            formatBytes(failed.free)
          )}
        >
          <>
            {failed.asked && (
              <p>
                {trans.__('Requested by %1.', siteWords(failed.asked, trans))}
              </p>
            )}
            <p>{trans.__('%1 in use, mostly by:', formatBytes(failed.held))}</p>
            <Sites
              sites={failed.holders}
              label={trans.__('Memory by owner when the allocation failed')}
              trans={trans}
            />
          </>
        </Callout>
      ))}
      {state === 'down' && error && (
        <DownState
          what={trans.__('Memory over time cannot be read.')}
          error={error}
          busy={busy}
          trans={trans}
          onRetry={() => void timelines.refresh()}
        />
      )}
      {memory.devices.map((device, number) => {
        const timeline = value?.find(each => each.number === number);
        const name = deviceWords(device, trans);
        return (
          <Device
            key={`${device.rank ?? ''}/${device.device}`}
            device={device}
            name={name}
            trans={trans}
          >
            {timeline ? (
              <DeviceMemoryView
                profileId={profileId}
                timeline={timeline}
                service={service}
                name={name}
                places={props.places}
                notebook={props.notebook}
                trans={trans}
              />
            ) : state === 'loading' ? (
              <p className="gol-Note" role="status">
                {trans.__('Reading memory over time…')}
              </p>
            ) : (
              <AtThePeak device={device} name={name} trans={trans} />
            )}
          </Device>
        );
      })}
    </div>
  );
}

export namespace MemoryView {
  export interface IProps {
    memory: IMemory;
    profileId: string;
    api: GenOpsApi;
    /** Nothing is loaded while it is not visible. */
    seen: boolean;
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    trans: TranslationBundle;
  }
}

function Device(props: {
  device: IDeviceMemory;
  name: string;
  trans: TranslationBundle;
  children: React.ReactNode;
}): React.ReactElement {
  const { device, name, trans } = props;
  const id = React.useId();
  const figures: [string, string][] = [
    [trans.__('Peak during the recording'), formatBytes(device.peak)],
    ...(device.reserved > 0
      ? ([
          [trans.__('In use before the recording'), formatBytes(device.before)],
          [trans.__('In use at the end'), formatBytes(device.allocated)],
          [trans.__('Reserved at the end'), formatBytes(device.reserved)]
        ] as [string, string][])
      : []),
    // A trace has no segments.
    ...(device.segments > 0
      ? ([
          [trans.__('Fragmentation'), formatShare(device.fragmentation, 1)],
          [trans.__('Largest free block'), formatBytes(device.largest_free)]
        ] as [string, string][])
      : []),
    ...(device.retries > 0
      ? ([
          [trans.__('Allocation retries'), device.retries.toLocaleString()]
        ] as [string, string][])
      : [])
  ];
  return (
    <section className="gol-Profile-part" aria-labelledby={id}>
      <h3 id={id}>{name}</h3>
      <Facts className="gol-Profile-keys" facts={figures} />
      {props.children}
    </section>
  );
}

/**
 * Memory from the summary: the sum over time, and memory by owner at the peak.
 */
function AtThePeak(props: {
  device: IDeviceMemory;
  name: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { device, name, trans } = props;
  return (
    <>
      <Outline device={device} name={name} trans={trans} />
      <h4>{trans.__('Memory by owner at the peak')}</h4>
      {device.sites.length > 0 ? (
        <>
          <Sites
            sites={device.sites}
            label={trans.__('Memory by owner at the peak, %1', name)}
            trans={trans}
          />
          <DownloadButton
            name={trans.__('memory')}
            columns={['name', 'bytes', 'blocks', 'category', 'stack']}
            rows={() =>
              device.sites.map(site => [
                site.name,
                site.bytes,
                site.blocks,
                site.category,
                site.stack.join(' < ')
              ])
            }
            trans={trans}
          />
        </>
      ) : (
        <p className="gol-Profile-quiet">
          {trans.__(
            'The recording does not record which lines allocated the memory.'
          )}
        </p>
      )}
    </>
  );
}

/** Memory in use over the recording. */
function Outline(props: {
  device: IDeviceMemory;
  name: string;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { device, name, trans } = props;
  if (device.timeline.length < 2) {
    return null;
  }
  const points = device.timeline;
  const [first, last] = [points[0].at, points[points.length - 1].at];
  // Events of a snapshot have numbers, those of a trace have times.
  const when = (at: number) =>
    device.reserved > 0 && device.rank === null
      ? trans.__('Event %1', at.toLocaleString())
      : formatMicroseconds(at);
  return (
    <>
      <svg
        className="gol-Memory-outline"
        viewBox="0 0 1000 120"
        preserveAspectRatio="none"
        role="img"
        aria-label={trans.__(
          'Memory in use during the recording (%1), peak %2',
          name,
          formatBytes(device.peak)
        )}
      >
        <path d={outlineOf(device.timeline, 1000, 120)} />
      </svg>
      <div className="gol-Memory-axis" aria-hidden="true">
        <span>{when(first)}</span>
        <span>{trans.__('full height: %1', formatBytes(device.peak))}</span>
        <span>{when(last)}</span>
      </div>
    </>
  );
}

function Sites(props: {
  sites: readonly ISite[];
  label: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sites, label, trans } = props;
  const most = Math.max(...sites.map(({ bytes }) => bytes), 1);
  return (
    <DataTable
      caption={label}
      className="gol-Lines-table gol-Memory-sites"
      region="gol-Profile-scroll"
      rows={sites}
      rowKey={(_, place) => String(place)}
      rowClass={() => 'gol-mod-timed'}
      columns={[
        {
          id: 'bytes',
          title: trans.__('Bytes'),
          cellClass: () => 'gol-Lines-heat',
          cell: ({ bytes }) => (
            <>
              <span
                className="gol-Lines-mark"
                aria-hidden="true"
                style={{
                  width: `${(100 * bytes) / most}%`,
                  opacity: 0.2 + (0.5 * bytes) / most
                }}
              />
              <span className="gol-Lines-figure">{formatBytes(bytes)}</span>
            </>
          )
        },
        {
          id: 'blocks',
          title: trans.__('Blocks'),
          cell: ({ blocks }) => blocks.toLocaleString()
        },
        {
          id: 'category',
          title: trans.__('Category'),
          cell: ({ category }) => categoryWords(category, trans)
        },
        {
          id: 'line',
          title: trans.__('Line'),
          cell: site =>
            site.stack.length > 1 ? (
              <details>
                <summary>{siteWords(site, trans)}</summary>
                <ol className="gol-Memory-stack">
                  {site.stack.map((frame, depth) => (
                    <li key={depth}>
                      <code>{frame}</code>
                    </li>
                  ))}
                </ol>
              </details>
            ) : (
              siteWords(site, trans)
            )
        }
      ]}
    />
  );
}

function deviceWords(
  { device, rank }: IDeviceMemory,
  trans: TranslationBundle
): string {
  const name =
    device < 0 ? trans.__('Host memory') : trans.__('Device %1', device);
  return rank === null ? name : trans.__('Rank %1, %2', rank, name);
}

type IPoint = NonNullable<
  IProfileSummary['memory']
>['devices'][number]['timeline'][number];

/**
 * The outline of memory in use as the path of an area, constant until the next
 * event.
 */
export function outlineOf(
  points: readonly IPoint[],
  width: number,
  height: number
): string {
  const first = points[0].at;
  const span = Math.max(points[points.length - 1].at - first, 1);
  const most = Math.max(...points.map(({ bytes }) => bytes), 1);
  const x = (at: number) => (((at - first) / span) * width).toFixed(1);
  const y = (bytes: number) => (height - (bytes / most) * height).toFixed(1);
  const steps = points.map(({ at, bytes }) => `H${x(at)}V${y(bytes)}`).join('');
  return `M0 ${height}V${y(points[0].bytes)}${steps}H${width}V${height}Z`;
}

/**
 * One device's memory over time, next to memory by owner at the chosen moment.
 */
function DeviceMemoryView(props: {
  profileId: string;
  timeline: IMemoryTimeline;
  service: MemoryService;
  name: string;
  places: IPlaces;
  notebook: string;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { profileId, timeline, service, trans } = props;
  const [model, setModel] = React.useState<MemoryModel | null>(null);
  React.useEffect(() => {
    const made = new MemoryModel({ profileId, timeline, service, trans });
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
