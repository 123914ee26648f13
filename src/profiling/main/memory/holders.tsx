import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout, formatBytes, useRevision } from '../../../core';
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
  const { moment, label, trans } = props;
  const most = Math.max(...moment.lines.map(({ site }) => site.bytes), 1);
  return (
    <div
      className="gol-Memory-scroll"
      role="region"
      aria-label={trans.__('Memory by owner, %1', label)}
      tabIndex={0}
      onPointerLeave={() => props.model.point(null)}
    >
      <table className="gol-Memory-lines">
        <thead>
          <tr>
            <th scope="col">{trans.__('Line')}</th>
            <th scope="col">{trans.__('Bytes')}</th>
            <th scope="col">{trans.__('Share')}</th>
            <th scope="col">{trans.__('Blocks')}</th>
            <th scope="col">{trans.__('Category')}</th>
          </tr>
        </thead>
        <tbody>
          {moment.lines.map(each => (
            <Row key={each.line} {...props} found={each} most={most} />
          ))}
          {moment.more_lines > 0 && (
            <tr>
              <td>
                {trans._n('%1 more line', '%1 more lines', moment.more_lines)}
              </td>
              <td>{formatBytes(moment.more_bytes)}</td>
              <td>{formatShare(moment.more_bytes, moment.held)}</td>
              <td />
              <td />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function Row(
  props: Holders.IProps & {
    moment: IMemoryMoment;
    found: IMemoryLine;
    most: number;
  }
): React.ReactElement {
  const { model, moment, most, places, notebook, trans } = props;
  const { line, site } = props.found;
  const place = model.held.bands.findIndex(band => band.line === line);
  const isChosen = model.chosen === line;
  const words = siteWords(site, trans);
  return (
    <>
      <tr
        className={model.lit === line ? 'gol-mod-lit' : ''}
        onPointerEnter={() => model.point(line)}
      >
        <td>
          <button
            type="button"
            className="gol-LinkButton gol-Memory-line"
            aria-pressed={isChosen}
            title={
              site.place?.text ? `${words}\n${site.place.text.trim()}` : words
            }
            onClick={() => model.choose(line)}
          >
            <span
              className="gol-Memory-swatch"
              aria-hidden="true"
              style={{ background: `var(${bandColor(place)})` }}
            />
            <span>{shortWords(site, trans)}</span>
          </button>
        </td>
        <td className="gol-Lines-heat">
          <span
            className="gol-Lines-mark gol-Memory-mark"
            aria-hidden="true"
            style={{
              width: `${(100 * site.bytes) / most}%`,
              background: `var(${bandColor(place)})`
            }}
          />
          <span className="gol-Lines-figure">{formatBytes(site.bytes)}</span>
        </td>
        <td>{formatShare(site.bytes, moment.held)}</td>
        <td>{site.blocks > 0 ? site.blocks.toLocaleString() : ''}</td>
        <td title={categoryWords(site.category, trans)}>
          {categoryWords(site.category, trans)}
        </td>
      </tr>
      {isChosen && (
        <tr className="gol-Memory-detail">
          <td colSpan={5}>
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
                {trans.__(
                  'The recording has no call stack for this allocation.'
                )}
              </span>
            )}
          </td>
        </tr>
      )}
    </>
  );
}

/** Other figures of a moment, as one line. */
function sums(moment: IMemoryMoment, trans: TranslationBundle): string {
  const told = [
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
  return told.filter(Boolean).join('; ');
}
