import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout, DataTable, formatBytes, useRevision } from '../../../core';
import { formatShare } from '../../figures';
import { DownloadButton } from '../download';
import { PlaceLink } from '../place-link';
import type { IPlaces } from '../places';

import type { MemoryModel } from './model';
import type { IMemoryLine, IMemoryMoment } from './service';
import { bandColor } from './timeline';
import {
  categoryWords,
  changeWords,
  momentWords,
  shortWords,
  siteWords
} from './messages';

/** Memory by owner at the chosen moment, next to the timeline. */
export function Holders(props: Holders.IProps): React.ReactElement {
  const { model, name, trans } = props;
  useRevision(model.changed);
  const { moment, error } = model;
  const id = React.useId();
  return (
    <section className="gol-Memory-holders" aria-labelledby={id}>
      {error && (
        <Callout tone="error" title={error.message}>
          {error.hint}
        </Callout>
      )}
      <h4 id={id}>
        {moment
          ? trans.__(
              '%1: %2',
              momentWords(moment.at, moment.us, trans),
              formatBytes(moment.held)
            )
          : trans.__('Memory by owner')}
      </h4>
      {moment && (
        <>
          <p className="gol-Profile-quiet">{sums(moment, trans)}</p>
          <Table {...props} moment={moment} label={name} />
          <DownloadButton
            name={trans.__('memory')}
            columns={['name', 'bytes', 'blocks', 'category', 'stack']}
            rows={() =>
              moment.lines.map(({ site }) => [
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
      )}
    </section>
  );
}

export namespace Holders {
  export interface IProps {
    model: MemoryModel;
    /** Name of the device. */
    name: string;
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    trans: TranslationBundle;
  }
}

function Table(
  props: Holders.IProps & { moment: IMemoryMoment; label: string }
): React.ReactElement {
  const { model, moment, label, trans } = props;
  const most = Math.max(...moment.lines.map(({ site }) => site.bytes), 1);
  return (
    <div
      className="gol-Memory-scroll"
      role="region"
      aria-label={trans.__('Memory by owner, %1', label)}
      tabIndex={0}
      onPointerLeave={() => model.point(null)}
    >
      <DataTable
        caption={trans.__('Memory by owner, %1', label)}
        className="gol-Memory-lines"
        rows={moment.lines}
        rowKey={({ line }) => String(line)}
        rowClass={({ line }) =>
          model.lit === line ? 'gol-mod-lit' : undefined
        }
        rowProps={({ line }) => ({ onPointerEnter: () => model.point(line) })}
        below={({ line, site }) =>
          model.chosen === line && <Detail {...props} site={site} />
        }
        belowClass="gol-Memory-detail"
        columns={[
          {
            id: 'line',
            title: trans.__('Line'),
            cell: found => <LineButton {...props} found={found} />
          },
          {
            id: 'bytes',
            title: trans.__('Bytes'),
            cellClass: () => 'gol-Lines-heat',
            cell: ({ line, site: { bytes } }) => (
              <>
                <span
                  className="gol-Lines-mark gol-Memory-mark"
                  aria-hidden="true"
                  style={{
                    width: `${(100 * bytes) / most}%`,
                    background: colorOf(model, line)
                  }}
                />
                <span className="gol-Lines-figure">{formatBytes(bytes)}</span>
              </>
            )
          },
          {
            id: 'share',
            title: trans.__('Share'),
            cell: ({ site }) => formatShare(site.bytes, moment.held)
          },
          {
            id: 'blocks',
            title: trans.__('Blocks'),
            cell: ({ site }) =>
              site.blocks > 0 ? site.blocks.toLocaleString() : ''
          },
          {
            id: 'category',
            title: trans.__('Category'),
            cell: ({ site }) => categoryWords(site.category, trans),
            tip: ({ site }) => categoryWords(site.category, trans)
          }
        ]}
      />
      {moment.more_lines > 0 && (
        <p className="gol-Profile-quiet">
          {trans._n(
            '%1 more line: %2 (%3)',
            '%1 more lines: %2 (%3)',
            moment.more_lines,
            formatBytes(moment.more_bytes),
            formatShare(moment.more_bytes, moment.held)
          )}
        </p>
      )}
    </div>
  );
}

function colorOf(model: MemoryModel, line: number): string {
  const place = model.curve.bands.findIndex(band => band.line === line);
  return `var(${bandColor(place)})`;
}

/** The colour and the name of a line; opens its details. */
function LineButton(
  props: Holders.IProps & { found: IMemoryLine }
): React.ReactElement {
  const { model, trans } = props;
  const { line, site } = props.found;
  const words = siteWords(site, trans);
  return (
    <button
      type="button"
      className="gol-LinkButton gol-Memory-line"
      aria-pressed={model.chosen === line}
      title={site.place?.text ? `${words}\n${site.place.text.trim()}` : words}
      onClick={() => model.choose(line)}
    >
      <span
        className="gol-Memory-swatch"
        aria-hidden="true"
        style={{ background: colorOf(model, line) }}
      />
      <span>{shortWords(site, trans)}</span>
    </button>
  );
}

/** The code of a line and the call stack of its allocation. */
function Detail(
  props: Holders.IProps & { site: IMemoryLine['site'] }
): React.ReactElement {
  const { site, places, notebook, trans } = props;
  return (
    <>
      {site.place && (
        <>
          {site.place.text.trim() && <pre>{site.place.text.trim()}</pre>}
          {places.canOpen(site.place, notebook) && (
            <PlaceLink
              place={site.place}
              places={places}
              notebook={notebook}
              trans={trans}
            >
              {trans.__('Show the line')}
            </PlaceLink>
          )}
        </>
      )}
      {site.stack.length > 0 ? (
        <ol
          className="gol-Memory-stack"
          aria-label={trans.__(
            'Call stack of the allocation, innermost frame first'
          )}
        >
          {site.stack.map((frame, depth) => (
            <li key={depth}>
              <code>{frame}</code>
            </li>
          ))}
        </ol>
      ) : (
        <span className="gol-Profile-quiet">
          {trans.__('The recording has no call stack for this allocation.')}
        </span>
      )}
    </>
  );
}

/** Other figures of a moment, as one line. */
function sums(moment: IMemoryMoment, trans: TranslationBundle): string {
  const facts = [
    changeWords(moment, trans),
    moment.reserved === null
      ? ''
      : trans.__('%1 reserved', formatBytes(moment.reserved)),
    moment.blocks > 0 ? trans._n('%1 block', '%1 blocks', moment.blocks) : '',
    ...moment.categories
      .filter(({ category }) => category !== '')
      .map(
        ({ category, bytes }) =>
          `${categoryWords(category, trans)} ${formatShare(bytes, moment.held)}`
      )
  ];
  return facts.filter(Boolean).join('; ');
}
