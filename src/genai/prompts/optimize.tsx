import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable } from '../../core';
import { ActionButton, ResourceView, tellFailure } from '../../core';
import { Resource } from '../../core/resource';
import { differenceScale } from '../evaluations/figures';
import { Interval } from '../evaluations/interval';
import {
  EXAMPLES,
  ScorerFields,
  scorersText
} from '../evaluations/scorer-fields';

import { CostForm, useWork } from './cost-form';
import { ChangedParts, VersionSelect } from './difference';
import type { IPromptDifference, PromptsModel } from './model';
import type {
  INewOptimization,
  IOptimization,
  IOptimizationCost,
  OptimizationsModel
} from './optimizations-model';
import {
  CostParts,
  isComplete,
  LIMITS,
  ModelSelect,
  OptimizerFields
} from './optimizer-fields';
import type { ILimits } from './optimizer-fields';
import { OptimizerList, OptimizerResult } from './optimizer-work';
import { RowsFields, isWhole } from './rows-fields';
import { ModelsView } from './source-view';
import { modelOf } from './sources';
import type { IWork } from './work-model';
import { callsText, rowsText } from './work-messages';

/** Versions that MLflow's optimizers write. `seen`: whether the tab is open. */
export function Optimize(props: {
  model: PromptsModel;
  seen: boolean;
  /** Compare two versions of the prompt. */
  onCompare: (before: string, after: string) => void;
}): React.ReactElement {
  const { model, seen, onCompare } = props;
  const { optimizations, trans } = model;
  useWork(model, 'optimizations', seen);
  return (
    <div className="gol-Trials">
      <NewOptimization model={model} />
      <ResourceView
        resource={optimizations.chosen}
        trans={trans}
        down={trans.__('The optimization cannot be read.')}
        keepMounted
        empty={
          <p className="gol-Note">
            {trans.__('This prompt was not optimized yet.')}
          </p>
        }
      >
        {work =>
          work && (
            <ShownOptimization
              key={work.found.id}
              optimizations={optimizations}
              work={work}
              onCompare={onCompare}
              trans={trans}
            />
          )
        }
      </ResourceView>
      <ResourceView
        resource={optimizations.list}
        trans={trans}
        down={trans.__('The optimizations cannot be listed.')}
        keepMounted
        empty={null}
      >
        {found => (
          <OptimizationList
            found={found}
            onOpen={id => void optimizations.choose(id)}
            trans={trans}
          />
        )}
      </ResourceView>
    </div>
  );
}

/** What is optimized: a version, rows, models, scorers and limits. The cost comes before the calls. */
function NewOptimization(props: { model: PromptsModel }): React.ReactElement {
  const { model } = props;
  const { optimizations, sources, trans } = model;
  const versions = (model.versions.value ?? []).filter(
    ({ name }) => name === model.name
  );
  const [version, setVersion] = React.useState('');
  const [choice, setChoice] = React.useState({ data: '', rows: 200 });
  const [answerer, setAnswerer] = React.useState('');
  const [writer, setWriter] = React.useState('');
  const [scorers, setScorers] = React.useState(EXAMPLES.exact);
  const [limits, setLimits] = React.useState<ILimits>({ ...LIMITS, rounds: 1 });
  const chosen = versions.some(each => each.version === version)
    ? version
    : (versions[0]?.version ?? '');
  const body: INewOptimization = {
    version: chosen,
    answerer: modelOf(answerer),
    writer: modelOf(writer),
    ...choice,
    scorers: scorersText(scorers),
    scorers_name: trans.__('Scorers'),
    folder: '',
    ...limits,
    settings: {},
    // A person reads what it is worth first.
    save: false
  };
  const canAsk =
    isWhole(choice) &&
    [chosen, answerer, writer, scorers.trim()].every(Boolean) &&
    isComplete(limits);
  return (
    <CostForm
      label={trans.__('Optimize')}
      canAsk={canAsk}
      onCost={() => optimizations.cost(body)}
      onStart={() => optimizations.start(body)}
      costText={cost => <CostOfOptimization cost={cost} trans={trans} />}
      startLabel={({ calls }) =>
        trans._n(
          'Optimize with at most %1 call',
          'Optimize with at most %1 calls',
          calls
        )
      }
      trans={trans}
    >
      <p className="gol-Note">
        {trans.__(
          'A model writes a better text by training rows. Held-out rows, which it does not see, show what the text is worth.'
        )}
      </p>
      <VersionSelect
        label={trans.__('Version to optimize')}
        value={chosen}
        versions={versions}
        onChange={setVersion}
      />
      <RowsFields
        sources={sources}
        rows={choice.rows}
        onChange={setChoice}
        trans={trans}
      />
      <ModelsView sources={sources} trans={trans}>
        {models => (
          <div className="gol-Optimize-fields">
            <ModelSelect
              label={trans.__('Model that answers')}
              value={answerer}
              names={models.map(({ name }) => name)}
              onChange={setAnswerer}
              trans={trans}
            />
            <ModelSelect
              label={trans.__('Model that writes')}
              help={trans.__('It reads the training rows with their answers')}
              value={writer}
              names={models.map(({ name }) => name)}
              onChange={setWriter}
              trans={trans}
            />
          </div>
        )}
      </ModelsView>
      <div className="gol-Optimize-fields">
        <ScorerFields
          scorers={scorers}
          onChange={setScorers}
          help={trans.__('Scores must lie between 0 and 1; more is better')}
          rows={3}
          trans={trans}
        />
      </div>
      <OptimizerFields
        limits={limits}
        texts={trans.__('Texts that are written')}
        heldOut={trans.__('Held-out rows, in %')}
        onChange={setLimits}
        trans={trans}
      />
    </CostForm>
  );
}

/** The most that an optimization costs, by purpose, and what its held-out rows can show. */
function CostOfOptimization(props: {
  cost: IOptimizationCost;
  trans: TranslationBundle;
}): React.ReactElement {
  const { cost, trans } = props;
  const { training, held_out, together, shows } = cost;
  const shown = [...shows].reverse().find(each => each.difference !== null);
  return (
    <>
      <p>
        {[
          rowsText(training + held_out, cost.digest, trans),
          trans.__('%1 train, %2 are held out.', training, held_out),
          together > 0 &&
            trans.__(
              'Each group of the %1 near-duplicates is on one side.',
              together
            )
        ]
          .filter(Boolean)
          .join(' ')}
      </p>
      <p>{callsText(cost, trans)}</p>
      <CostParts parts={cost.parts} trans={trans} />
      <p>
        {shown
          ? trans.__(
              'If the answers differ on %1 % of the held-out rows, they show a difference of %2 points or more.',
              Math.round(100 * shown.differing),
              Math.round(100 * shown.difference!)
            )
          : trans.__(
              'The held-out rows are too few to show a difference. Use more rows.'
            )}
      </p>
    </>
  );
}

/** One optimization: how far it is, what the held-out rows show, and what the new text changes. */
function ShownOptimization(props: {
  optimizations: OptimizationsModel;
  work: IWork<IOptimization>;
  onCompare: (before: string, after: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { optimizations, work, onCompare, trans } = props;
  const { found } = work;
  const { compared = [] } = found;
  const several = compared.length > 1;
  const scale = differenceScale(compared.map(({ difference }) => difference));
  return (
    <OptimizerResult
      model={optimizations}
      work={work}
      title={titleOf(found, trans)}
      facts={trans.__(
        '%1 · digest %2 · %3 training rows, %4 held-out rows · %5 answers, %6 writes',
        found.data,
        found.digest.slice(0, 12),
        found.training_rows,
        found.held_out_rows,
        found.answerer,
        found.writer
      )}
      progress={trans.__('Answers to held-out rows')}
      ended={trans.__('The optimization ended early.')}
      trans={trans}
    >
      {compared.map(({ scorer, difference }) => (
        <p key={scorer} className="gol-Optimize-difference">
          {several && <span>{scorer}</span>}
          <Interval
            estimate={difference}
            scale={scale}
            isDifference
            caption={trans._n(
              'New text less old text on %1 held-out row, with the 95 % interval',
              'New text less old text on %1 held-out rows, with the 95 % interval',
              difference.n
            )}
            trans={trans}
          />
        </p>
      ))}
      {found.has_text && (
        <NewText
          optimizations={optimizations}
          found={found}
          onCompare={onCompare}
          trans={trans}
        />
      )}
    </OptimizerResult>
  );
}

/** What the new text changes, and the button that saves it. */
function NewText(props: {
  optimizations: OptimizationsModel;
  found: IOptimization;
  onCompare: (before: string, after: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { optimizations, found, onCompare, trans } = props;
  const { id, stage, new_version: saved = '' } = found;
  const [busy, setBusy] = React.useState(false);
  const resource = React.useMemo(
    () =>
      new Resource<IPromptDifference>({
        fetch: signal => optimizations.compare(id, signal),
        trans
      }),
    [optimizations, id, trans]
  );
  React.useEffect(() => {
    resource.visible = true;
    return () => resource.dispose();
  }, [resource]);
  const save = async () => {
    setBusy(true);
    await optimizations
      .save(id)
      .catch((reason: unknown) => tellFailure(reason, trans));
    setBusy(false);
  };
  return (
    <>
      {(saved || stage === 'done') && (
        <div className="gol-Actions">
          <ActionButton
            primary={!saved}
            label={
              saved
                ? trans.__('Compare with version %1', found.version)
                : trans.__('Keep as a new version')
            }
            caption={saved ? undefined : trans.__('No alias moves.')}
            busy={busy}
            onClick={() =>
              saved ? onCompare(found.version, saved) : void save()
            }
          />
          <span role="status">
            {saved && trans.__('Saved as version %1.', saved)}
          </span>
        </div>
      )}
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The new text cannot be read.')}
        empty={null}
      >
        {difference => <ChangedParts parts={difference.parts} />}
      </ResourceView>
    </>
  );
}

function OptimizationList(props: {
  found: readonly IOptimization[];
  onOpen: (id: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { found, onOpen, trans } = props;
  const columns: DataTable.IColumn<IOptimization>[] = [
    {
      id: 'version',
      title: trans.__('Version'),
      cell: ({ version, new_version }) =>
        new_version ? `v${version} → v${new_version}` : `v${version}`,
      value: ({ version }) => Number(version)
    },
    {
      id: 'data',
      title: trans.__('Data'),
      wide: true,
      cell: ({ data }) => data.slice(data.lastIndexOf('/') + 1),
      value: ({ data }) => data,
      tip: ({ data }) => data
    }
  ];
  return (
    <OptimizerList
      caption={trans.__('Optimizations of this prompt')}
      found={found}
      columns={columns}
      titleOf={each => titleOf(each, trans)}
      writing={trans.__('Texts are written: not done.')}
      comparing={trans.__('Held-out rows are asked: not done.')}
      count={count => trans._n('%1 optimization', '%1 optimizations', count)}
      onOpen={onOpen}
      trans={trans}
    />
  );
}

function titleOf(
  { version, created_at }: IOptimization,
  trans: TranslationBundle
): string {
  return trans.__(
    'Optimization of version %1, %2',
    version,
    new Date(created_at * 1000).toLocaleString()
  );
}
