import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  CopyButton,
  Facts,
  IconButton,
  ResourceView,
  ShortId,
  StatusBadge,
  formatBytes
} from '../../core';
import type { IDriven } from '../../panel/tokens';
import { formatMicroseconds, formatShare } from '../figures';
import type { ProfilesModel, ITimePart } from '../model';
import { cpuParts, deviceParts } from '../model';
import type { IDeviceTime, IProfile, IProfileSummary } from '../service';
import { kernelCount } from '../main/nsight-compute/sums';
import { boundsWords, modelsOf } from '../main/nsight-compute/messages';

import { RankedTimes } from './ranked-times';

/** The content of an open row: the origin of the profile, and its summary. */
export function ProfileDetail(props: ProfileDetail.IProps): React.ReactElement {
  const { profile, model, trans, drive } = props;
  const { onOpen, onCompare, onDelete } = props;
  const file = profile.artifact.split('/').pop() ?? '';
  return (
    <>
      {profile.state === 'analyzing' && (
        <p className="gol-Note">
          <StatusBadge
            tone="busy"
            label={
              profile.message ||
              trans.__('Analyzing the trace. This takes a few seconds.')
            }
          />
        </p>
      )}
      {profile.state === 'failed' && (
        <Callout
          tone="error"
          title={trans.__('The trace could not be analyzed.')}
        >
          {profile.message}
        </Callout>
      )}
      {profile.state === 'ready' && (
        <Summary
          key={profile.id}
          id={profile.id}
          model={model}
          trans={trans}
          drive={drive}
        />
      )}
      <Facts
        facts={[
          profile.run_id
            ? [
                trans.__('Run'),
                <ShortId
                  key="run"
                  id={profile.run_id}
                  label={trans.__('Copy the run id')}
                  trans={trans}
                />
              ]
            : null,
          profile.artifact
            ? [
                trans.__('Artifact'),
                <span key="artifact" className="gol-Facts-cut">
                  <span title={profile.artifact}>{file}</span>
                  <CopyButton
                    text={profile.artifact}
                    label={trans.__("Copy the artifact's path")}
                    trans={trans}
                  />
                </span>
              ]
            : null,
          profile.notebook
            ? [
                trans.__('Notebook'),
                <span key="notebook" title={profile.notebook}>
                  {profile.notebook}
                </span>
              ]
            : null,
          profile.size_bytes > 0
            ? [trans.__('Trace'), formatBytes(profile.size_bytes)]
            : null
        ]}
      />
      <div className="gol-Actions">
        {profile.state === 'ready' && (
          <>
            <ActionButton
              label={trans.__('Open')}
              caption={trans.__(
                'Open the profile “%1” in the main area',
                profile.title
              )}
              onClick={onOpen}
            />
            <ActionButton
              label={trans.__('Compare with…')}
              caption={trans.__('Show the difference from another profile')}
              onClick={onCompare}
            />
          </>
        )}
        <IconButton
          icon={deleteIcon}
          label={trans.__('Delete the profile “%1”', profile.title)}
          onClick={onDelete}
        />
      </div>
    </>
  );
}

export namespace ProfileDetail {
  export interface IProps {
    profile: IProfile;
    model: ProfilesModel;
    trans: TranslationBundle;
    /** Ties requests to visibility. */
    drive: (driven: IDriven) => { dispose(): void };
    /** Show it in the main area. */
    onOpen: () => void;
    /** Show the difference from another profile. */
    onCompare: () => void;
    onDelete: () => void;
  }
}

function Summary(props: {
  id: string;
  model: ProfilesModel;
  trans: TranslationBundle;
  drive: ProfileDetail.IProps['drive'];
}): React.ReactElement | null {
  const { id, model, trans, drive } = props;
  const detail = React.useMemo(() => model.detail(id), [id, model]);
  React.useEffect(() => {
    const driven = drive(detail);
    return () => {
      driven.dispose();
      detail.dispose();
    };
  }, [detail]);
  return (
    <ResourceView
      resource={detail}
      trans={trans}
      down={trans.__('The summary of this profile cannot be read.')}
      empty={null}
    >
      {profile =>
        profile.summary && (
          <SummaryView summary={profile.summary} trans={trans} />
        )
      }
    </ResourceView>
  );
}

/** Where the time was spent. */
export function SummaryView(props: {
  summary: IProfileSummary;
  trans: TranslationBundle;
}): React.ReactElement {
  const { summary, trans } = props;
  const { cpu, devices, measured, operators, ranks } = summary;
  const models = modelsOf(devices);
  const name = (device: IDeviceTime) =>
    ranks.length > 1
      ? trans.__('%1, rank %2', device.device, device.rank)
      : device.device;
  return (
    <div className="gol-Summary">
      {summary.damaged && (
        <Callout
          tone="warning"
          title={trans.__('The trace could not be read completely.')}
        >
          {summary.damaged}
        </Callout>
      )}
      {measured ? (
        <Facts
          facts={[
            [
              trans.__('Kernels'),
              trans._n(
                '%2 measured, %1 launch, %3',
                '%2 measured, %1 launches, %3',
                measured.launches,
                kernelCount(measured),
                formatMicroseconds(measured.total_us)
              )
            ],
            [trans.__('Bound by'), boundsWords(measured, trans)],
            models.length > 0 ? [trans.__('GPU'), models.join(', ')] : null
          ]}
        />
      ) : (
        <>
          <TimeBar
            label={trans.__('CPU')}
            span={cpu.span_us}
            parts={cpuParts(cpu, trans)}
          />
          {devices.map(device => (
            <TimeBar
              key={`${device.rank}:${device.device}`}
              label={name(device)}
              span={device.span_us}
              parts={deviceParts(device, trans)}
            />
          ))}
          {devices.length === 0 && (
            <p className="gol-Note">
              {trans.__('The trace has no GPU events.')}
            </p>
          )}
        </>
      )}
      <RankedTimes
        title={trans.__('Operators by self time')}
        rows={operators.map(operator => ({
          name: operator.name,
          count: operator.count,
          us: operator.self_us,
          tip: trans.__(
            '%1: %2 calls, %3 self, %4 total, %5 on the device',
            operator.name,
            operator.count,
            formatMicroseconds(operator.self_us),
            formatMicroseconds(operator.total_us),
            formatMicroseconds(operator.device_us)
          )
        }))}
        trans={trans}
      />
      {devices.map(
        device =>
          device.top_kernels.length > 0 && (
            <RankedTimes
              key={`${device.rank}:${device.device}`}
              title={trans.__('Kernels on %1', name(device))}
              rows={device.top_kernels.map(kernel => ({
                name: kernel.name,
                count: kernel.count,
                us: kernel.total_us,
                tip: trans.__(
                  '%1: %2 launches, %3',
                  kernel.name,
                  kernel.count,
                  formatMicroseconds(kernel.total_us)
                )
              }))}
              trans={trans}
            />
          )
      )}
      {!measured && (
        <p className="gol-Note">
          {trans._n(
            '%2 event',
            '%2 events',
            summary.events,
            summary.events.toLocaleString()
          )}
        </p>
      )}
    </div>
  );
}

/** Time in parts of one bar, with the name and share of each part below. */
function TimeBar(props: TimeBar.IProps): React.ReactElement {
  const { label, span, parts } = props;
  const total = parts.reduce((sum, part) => sum + part.us, 0) || span;
  const words = parts.map(
    part => `${part.label} ${formatShare(part.us, total)}`
  );
  return (
    <div className="gol-TimeBar">
      <div className="gol-TimeBar-head">
        <span className="gol-TimeBar-label" title={label}>
          {label}
        </span>
        <span>{formatMicroseconds(span)}</span>
      </div>
      <div
        className="gol-TimeBar-bar"
        role="img"
        aria-label={`${label}: ${words.join(', ')}`}
      >
        {parts.map(part => (
          <span
            key={part.id}
            className={`gol-mod-${part.id}`}
            style={{ flexGrow: total > 0 ? part.us / total : 0 }}
            title={`${part.label}: ${formatMicroseconds(part.us)}`}
          />
        ))}
      </div>
      <ul className="gol-TimeBar-legend" aria-hidden="true">
        {parts.map((part, index) => (
          <li key={part.id} title={formatMicroseconds(part.us)}>
            <span className={`gol-TimeBar-key gol-mod-${part.id}`} />
            {words[index]}
          </li>
        ))}
      </ul>
    </div>
  );
}

export namespace TimeBar {
  export interface IProps {
    /** The name of the bar, such as a device. */
    label: string;
    /** From the first start to the last end, in microseconds. */
    span: number;
    parts: readonly ITimePart[];
  }
}
