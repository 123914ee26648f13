import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { DataTable, IconButton } from '../../../core';
import { openMenu } from '../../table/menus';
import type { ICard } from '../cards';
import { columnsOf } from '../cards';
import type { ILook } from '../../../core/charts/scene';
import { savePng, saveSvg } from '../../../core/charts/files';
import type { ChartsModel } from '../model';
import { curvesCode, importanceCode, rowsCode } from '../notebook-code';
import { barPicture } from '../pictures/bars';
import type { ICurvesInput, IDrawnRun } from '../pictures/curves';
import { curvesPicture } from '../pictures/curves';
import { exported } from '../pictures/exported';
import { importancePicture } from '../pictures/importance';
import { parallelPicture } from '../pictures/parallel';
import type { IDataTable, IPicture } from '../pictures/picture';
import { scatterPicture } from '../pictures/scatter';

import { CardForm } from './card-form';
import { Plot } from './plot';
import { cardTitle, smoothingWord } from './messages';

const HEIGHT_PX = 230;
const BRIEF_MS = 4000;

/** One card: its picture, its notes and its menu. */
export function Card(props: Card.IProps): React.ReactElement {
  const { card, model, runs, trans } = props;
  const [editing, setEditing] = React.useState(false);
  const [listed, setListed] = React.useState(false);
  const [drawn, setDrawn] = React.useState<{
    picture: IPicture;
    look: ILook;
  } | null>(null);
  const id = React.useId();
  const title = cardTitle(card, trans);
  const draw = React.useCallback(
    (width: number, height: number, look: ILook) =>
      picture(card, model, runs, width, height, look, trans),
    [card, model, runs, trans, ...shown(card, model, props)]
  );
  const keys = () =>
    card.kind === 'curves'
      ? runs
          .filter(
            run => (model.histories(card.metric).get(run.id)?.points ?? 0) > 0
          )
          .map(({ color, name }) => ({ color, label: name }))
      : (drawn?.picture.keys ?? []);
  const scene = () =>
    exported(drawn!.picture.scene, title, keys(), drawn!.look.text);
  const menu = (node: HTMLElement) => {
    const { left, bottom } = node.getBoundingClientRect();
    const code = () => cardCode(card, model, runs, trans);
    openMenu(
      [
        { label: trans.__('Edit…'), execute: () => setEditing(true) },
        {
          label: trans.__('Full Width'),
          toggled: card.wide ?? false,
          execute: () => model.setCard({ ...card, wide: !card.wide })
        },
        {
          label: trans.__('Move Forward'),
          enabled: props.place > 0,
          execute: () => model.moveCard(card.id, -1)
        },
        {
          label: trans.__('Move Back'),
          enabled: props.place < model.cards.length - 1,
          execute: () => model.moveCard(card.id, 1)
        },
        null,
        {
          label: trans.__('Save as PNG'),
          enabled: drawn !== null,
          execute: () => void savePng(scene(), drawn!.look, title)
        },
        {
          label: trans.__('Save as SVG'),
          enabled: drawn !== null,
          execute: () => saveSvg(scene(), drawn!.look, title)
        },
        {
          label: trans.__('Insert as a Notebook Cell'),
          execute: () => void props.onInsert(code())
        },
        {
          label: trans.__('Copy as Code'),
          execute: () => {
            Clipboard.copyToSystem(code());
            Notification.success(trans.__('The code of the chart is copied.'), {
              autoClose: BRIEF_MS
            });
          }
        },
        null,
        {
          label: trans.__('Show the Data'),
          toggled: listed,
          execute: () => setListed(!listed)
        },
        {
          label: trans.__('Remove the Card'),
          execute: () => model.removeCard(card.id)
        }
      ],
      left,
      bottom
    );
  };
  return (
    <article
      className={`gol-Card ${card.wide ? 'gol-mod-wide' : ''}`}
      aria-labelledby={id}
      aria-describedby={`${id}-summary`}
    >
      <header className="gol-Card-head">
        <h3 id={id} title={title}>
          {title}
        </h3>
        <IconButton
          icon={ellipsesIcon}
          label={trans.__('Actions for %1', title)}
          onClick={event => menu(event.currentTarget)}
        />
      </header>
      <p id={`${id}-summary`} className="gol-VisuallyHidden">
        {drawn?.picture.summary}
      </p>
      {editing ? (
        <CardForm
          model={model}
          card={card}
          onDone={made => {
            setEditing(false);
            model.setCard(made);
          }}
          onCancel={() => setEditing(false)}
          trans={trans}
        />
      ) : (
        <Plot
          label={title}
          height={HEIGHT_PX}
          draw={draw}
          onDrawn={(shown, look) => setDrawn({ picture: shown, look })}
          onWidth={
            card.kind === 'curves'
              ? pixels => model.setWidth(pixels)
              : undefined
          }
          onTarget={target => {
            if (target.condition) {
              model.narrow([target.condition]);
            } else if (target.runId) {
              props.onOpen(target.runId);
            }
          }}
          onPicked={picked => {
            if ('zoom' in picked) {
              model.setZoom(picked.zoom);
            } else {
              model.narrow(picked.conditions);
            }
          }}
          onReset={() => {
            if (model.zoom && card.kind === 'curves') {
              model.setZoom(null);
            }
          }}
          trans={trans}
        />
      )}
      {drawn && drawn.picture.keys.length > 0 && (
        <ul className="gol-Card-keys" aria-label={trans.__('Colours')}>
          {drawn.picture.keys.map(key => (
            <li key={key.label}>
              <span style={{ background: key.color }} aria-hidden="true" />
              {key.label}
            </li>
          ))}
        </ul>
      )}
      {drawn?.picture.notes.map(note => (
        <p key={note} className="gol-Card-note">
          {note}
        </p>
      ))}
      {listed && drawn && (
        <PictureData
          table={drawn.picture.table()}
          label={trans.__('Data of %1', title)}
          onOpen={props.onOpen}
        />
      )}
    </article>
  );
}

export namespace Card {
  export interface IProps {
    card: ICard;
    place: number;
    model: ChartsModel;
    /** The runs with curves. */
    runs: readonly IDrawnRun[];
    /** Changes with the selection of runs. */
    selection: number;
    /** Changes with the colours of runs. */
    colors: number;
    onOpen: (runId: string) => void;
    onInsert: (code: string) => void | Promise<void>;
    trans: TranslationBundle;
  }
}

/** The data of a picture; a run's row has a link to the run. */
function PictureData(props: {
  table: IDataTable;
  label: string;
  onOpen: (runId: string) => void;
}): React.ReactElement {
  const { table, label, onOpen } = props;
  return (
    <DataTable
      caption={label}
      region="gol-Card-data"
      className="gol-Card-table"
      rows={table.rows}
      rowKey={({ runId }, place) => runId ?? String(place)}
      columns={table.head.map((title, column) => ({
        id: title,
        title,
        isHead: column === 0,
        cell: ({ runId, cells }) =>
          column === 0 && runId ? (
            <button type="button" onClick={() => onOpen(runId)}>
              {cells[0]}
            </button>
          ) : (
            cells[column]
          )
      }))}
    />
  );
}

/**
 * Return the part of the model that a card shows; if it is the same, nothing is
 * drawn again.
 */
function shown(
  card: ICard,
  model: ChartsModel,
  { selection, colors }: Pick<Card.IProps, 'selection' | 'colors'>
): readonly unknown[] {
  const { board, zoom, rows } = model;
  switch (card.kind) {
    case 'curves':
      return [model.histories(card.metric), board.x, board.smoothing, zoom, 0];
    case 'importance':
      return [model.importance(card.metric), 0, 0, 0, 0];
    default:
      return [rows, selection, colors, 0, 0];
  }
}

function curvesInput(
  card: Extract<ICard, { kind: 'curves' }>,
  model: ChartsModel,
  runs: readonly IDrawnRun[]
): ICurvesInput {
  return {
    card,
    histories: model.histories(card.metric),
    runs,
    x: model.board.x,
    zoom: model.zoom,
    smooth: (model.board.smoothing.kind ?? 'none') !== 'none'
  };
}

function picture(
  card: ICard,
  model: ChartsModel,
  runs: readonly IDrawnRun[],
  width: number,
  height: number,
  look: ILook,
  trans: TranslationBundle
): IPicture {
  if (card.kind === 'curves') {
    const input = curvesInput(card, model, runs);
    return curvesPicture(input, width, height, look, trans);
  }
  if (card.kind === 'importance') {
    const found = model.importance(card.metric) ?? {
      metric: card.metric,
      runs: 0,
      parameters: [],
      constant: [],
      unique: []
    };
    return importancePicture(found, width, height, look, trans);
  }
  const { rows } = model;
  const { selection, windows } = model.table;
  const input = {
    rows,
    names: names(rows),
    isSelected:
      selection.count(windows.snapshot.rows.length) > 0
        ? (run: string) => selection.has(run)
        : null
  };
  switch (card.kind) {
    case 'scatter':
      return scatterPicture({ ...input, card }, width, height, look, trans);
    case 'bar':
      return barPicture({ ...input, card }, width, height, look, trans);
    case 'parallel':
      return parallelPicture({ ...input, card }, width, height, look, trans);
  }
}

/** Return the runs' names, or the begin of the ids. */
export function names(rows: ChartsModel['rows']): string[] {
  const given = rows.columns.get('run_name');
  return rows.ids.map((id, at) => String(given?.[at] || id.slice(0, 8)));
}

function cardCode(
  card: ICard,
  model: ChartsModel,
  runs: readonly IDrawnRun[],
  trans: TranslationBundle
): string {
  if (card.kind === 'curves') {
    return curvesCode(
      curvesInput(card, model, runs),
      smoothingWord(model.board.smoothing, trans)
    );
  }
  if (card.kind === 'importance') {
    const found = model.importance(card.metric);
    return found ? importanceCode(found) : '';
  }
  return rowsCode(card, [...new Set(columnsOf(card))], model.rows);
}
