import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton } from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import type { MediaModel } from '../model';
import type { IMediaSeries, MediaService } from '../service';
import type { IMediaRow } from '../steps';
import { entriesAt, placeAt } from '../steps';

import { Histograms } from './histograms';
import { useSteps } from './hooks';
import { Pictures } from './pictures';
import { MediaTable } from './table';

import '../../../../style/experiments/media.css';

/** Names that are shown before the user asks for more. */
const FIRST = 20;

/** All media of the runs at one step; several runs are side by side. */
export function MediaView(props: MediaView.IProps): React.ReactElement {
  const { model, trans } = props;
  const { value, error } = useResource(model.resource);
  const { steps, step } = useSteps(model);
  const [all, setAll] = React.useState(false);
  const rows = all ? model.rows : model.rows.slice(0, FIRST);
  const leftOut = (value ?? []).reduce(
    (sum, run) => sum + (run.left_out ?? 0),
    0
  );
  return (
    <div className="gol-Media">
      <StepSlider
        steps={steps}
        step={step}
        onChange={chosen => {
          model.step = chosen;
        }}
        trans={trans}
      />
      {error && <p className="gol-Field-error">{error.message}</p>}
      {rows.map(row => (
        <Row
          {...props}
          key={`${row.kind} ${row.name}`}
          row={row}
          step={step}
          version={value}
        />
      ))}
      {rows.length < model.rows.length && (
        <ActionButton
          label={trans.__('Show all %1', model.rows.length)}
          onClick={() => setAll(true)}
        />
      )}
      {leftOut > 0 && (
        <p className="gol-Media-quiet">
          {trans.__('%1 more files are not shown.', leftOut.toLocaleString())}
        </p>
      )}
    </div>
  );
}

export namespace MediaView {
  export interface IProps {
    model: MediaModel;
    service: Pick<MediaService, 'artifact' | 'artifactUrl'>;
    /** The runs' names, for several runs. */
    names?: readonly string[];
    trans: TranslationBundle;
  }
}

function Row(
  props: MediaView.IProps & {
    row: IMediaRow;
    step: number;
    version: object | undefined;
  }
): React.ReactElement {
  const { row, model, names } = props;
  const [reaches, setReaches] = React.useState<
    Record<string, readonly [number, number]>
  >({});
  const onLoad = React.useCallback(
    (runId: string, reach: readonly [number, number]) =>
      setReaches(known =>
        String(known[runId]) === String(reach)
          ? known
          : { ...known, [runId]: reach }
      ),
    []
  );
  // Runs side by side are drawn on the same axis.
  const all = Object.values(reaches);
  const domain: readonly [number, number] | undefined =
    all.length > 0
      ? [
          Math.min(...all.map(([low]) => low)),
          Math.max(...all.map(([, high]) => high))
        ]
      : undefined;
  return (
    <figure className="gol-Media-row">
      <figcaption title={row.name}>{row.name}</figcaption>
      <div className="gol-Media-cells">
        {row.series.map((series, index) => (
          <div key={model.runIds[index]} className="gol-Media-cell">
            {names && <span className="gol-Media-run">{names[index]}</span>}
            {series ? (
              <Cell
                {...props}
                series={series}
                runId={model.runIds[index]}
                runName={names?.[index]}
                domain={domain}
                onLoad={onLoad}
              />
            ) : (
              <p className="gol-Media-quiet">–</p>
            )}
          </div>
        ))}
      </div>
    </figure>
  );
}

function Cell(
  props: MediaView.IProps & {
    series: IMediaSeries;
    runId: string;
    runName?: string;
    step: number;
    version: object | undefined;
    domain?: readonly [number, number];
    onLoad: (runId: string, reach: readonly [number, number]) => void;
  }
): React.ReactElement {
  const { series, runName, step, trans } = props;
  const { kind, name } = series;
  const of = runName ? trans.__('%1 of %2', name, runName) : name;
  if (kind === 'histogram') {
    return <Histograms {...props} name={name} label={of} />;
  }
  const entries = entriesAt(series.entries ?? [], step);
  const label = trans.__('%1 at step %2', of, entries[0].step);
  return (
    <>
      {kind === 'image' ? (
        <Pictures {...props} entries={entries} label={label} />
      ) : (
        <MediaTable
          {...props}
          entry={entries[entries.length - 1]}
          label={label}
        />
      )}
      <p className="gol-Media-quiet">{trans.__('step %1', entries[0].step)}</p>
    </>
  );
}

/** Chooses a step that has media: by mouse, arrow keys, Home and End. */
function StepSlider(props: StepSlider.IProps): React.ReactElement | null {
  const { steps, step, onChange, trans } = props;
  const id = React.useId();
  if (steps.length < 2) {
    return null;
  }
  const place = placeAt(
    steps.map(each => ({ step: each })),
    step
  );
  return (
    <div className="gol-Media-slider">
      <label htmlFor={id}>{trans.__('Step')}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={steps.length - 1}
        step={1}
        value={place}
        aria-valuetext={trans.__('step %1', steps[place])}
        onChange={event => onChange(steps[Number(event.target.value)])}
      />
      <output htmlFor={id}>{steps[place].toLocaleString()}</output>
    </div>
  );
}

export namespace StepSlider {
  export interface IProps {
    /** Ascending, each once. */
    steps: readonly number[];
    step: number;
    onChange: (step: number) => void;
    trans: TranslationBundle;
  }
}
