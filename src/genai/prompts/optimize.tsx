import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable } from '../../core';
import {
  ActionButton,
  Field,
  RelativeTime,
  ResourceView,
  tellFailure
} from '../../core';
import { formatMoney } from '../../core/money';
import { Resource } from '../../core/resource';
import { NumberInput } from '../../core/ui/form-dialog';
import { ListTable } from '../../core/ui/list-table';
import { Progress } from '../../core/ui/progress';
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
import { RowsFields, isWhole } from './rows-fields';
import { ModelsView } from './source-view';
import { modelOf } from './sources';
import { CancelOrResume, FailedTask } from './work-head';
import type { IWork } from './work-model';
import { callsText, rowsText } from './work-words';

/** The optimizers by MLflow's own names. */
const OPTIMIZERS: readonly (readonly [
  name: INewOptimization['optimizer'],
  shown: string
])[] = [
  ['metaprompt', 'MetaPromptOptimizer'],
  ['gepa', 'GepaPromptOptimizer']
];

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
  const [optimizer, setOptimizer] =
    React.useState<INewOptimization['optimizer']>('metaprompt');
  const [rounds, setRounds] = React.useState(1);
  const [heldOut, setHeldOut] = React.useState(50);
  const [money, setMoney] = React.useState(NaN);
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
    optimizer,
    rounds,
    held_out: heldOut / 100,
    seed: 0,
    money: Number.isNaN(money) ? null : money,
    settings: {},
    // A person reads what it is worth first.
    save: false
  };
  const canAsk =
    isWhole(choice) &&
    [chosen, answerer, writer, scorers.trim()].every(Boolean) &&
    rounds >= 1 &&
    heldOut > 0;
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
      <div className="gol-Optimize-fields">
        <Field label={trans.__('Optimizer of MLflow')}>
          {control => (
            <select
              {...control}
              value={optimizer}
              onChange={({ target }) =>
                setOptimizer(OPTIMIZERS[target.selectedIndex][0])
              }
            >
              {OPTIMIZERS.map(([name, shown]) => (
                <option key={name} value={name}>
                  {shown}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={trans.__('Texts that are written')}>
          {control => (
            <NumberInput
              control={control}
              value={rounds}
              step={1}
              max={50}
              onChange={setRounds}
            />
          )}
        </Field>
        <Field label={trans.__('Held-out rows, in %')}>
          {control => (
            <NumberInput
              control={control}
              value={heldOut}
              step={1}
              max={90}
              onChange={setHeldOut}
            />
          )}
        </Field>
        <Field
          label={trans.__('Budget (optional)')}
          help={trans.__('The most money of all calls')}
        >
          {control => (
            <NumberInput control={control} value={money} onChange={setMoney} />
          )}
        </Field>
      </div>
    </CostForm>
  );
}

function ModelSelect(props: {
  label: string;
  help?: string;
  value: string;
  names: readonly string[];
  onChange: (name: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { label, help, value, names, onChange, trans } = props;
  return (
    <Field label={label} help={help}>
      {control => (
        <select
          {...control}
          value={value}
          onChange={({ target }) => onChange(target.value)}
        >
          <option value="">{trans.__('Choose a model')}</option>
          {names.map(name => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
    </Field>
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
      <ul className="gol-Optimize-parts">
        {cost.parts.map(({ model, calls, money, currency = 'USD' }) => (
          <li key={model}>
            {money === null
              ? trans._n('%2: %1 call', '%2: %1 calls', calls ?? 0, model)
              : trans._n(
                  '%2: %1 call, at most %3',
                  '%2: %1 calls, at most %3',
                  calls ?? 0,
                  model,
                  formatMoney(money, currency)
                )}
          </li>
        ))}
      </ul>
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
  const { found, task } = work;
  const { stage, sentences = [], notes = [], compared = [] } = found;
  const several = compared.length > 1;
  const scale = differenceScale(compared.map(({ difference }) => difference));
  return (
    <section className="gol-Trial" aria-label={trans.__('Result')}>
      <div className="gol-Trial-head">
        <h3>{titleOf(found, trans)}</h3>
        {task && task.progress !== null && (
          <Progress
            label={trans.__('Answers to held-out rows')}
            done={task.progress}
            of={1}
            text=""
          />
        )}
        <CancelOrResume
          model={optimizations}
          work={work}
          canResume={stage !== 'done'}
          resume={trans.__('Resume')}
          caption={trans.__('Go on. No answer is paid for twice.')}
          trans={trans}
        />
      </div>
      <p className="gol-Note">
        {trans.__(
          '%1 · digest %2 · %3 training rows, %4 held-out rows · %5 answers, %6 writes',
          found.data,
          found.digest.slice(0, 12),
          found.training_rows,
          found.held_out_rows,
          found.answerer,
          found.writer
        )}
      </p>
      <p role="status" className="gol-Optimize-said">
        {task?.message ?? ''}
      </p>
      <FailedTask
        work={work}
        title={trans.__('The optimization ended early.')}
      />
      {sentences.map((each, at) => (
        <p key={each}>{at === 0 ? <strong>{each}</strong> : each}</p>
      ))}
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
      {notes.map(each => (
        <p key={each} className="gol-Note">
          {each}
        </p>
      ))}
    </section>
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
        {difference => <ChangedParts difference={difference} />}
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
      id: 'when',
      title: trans.__('Begun'),
      isHead: true,
      cell: ({ created_at }) => (
        <RelativeTime seconds={created_at} trans={trans} />
      ),
      value: ({ created_at }) => created_at
    },
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
    },
    {
      id: 'result',
      title: trans.__('Result'),
      cellClass: () => 'gol-Trial-answer',
      cell: each => resultOf(each, trans),
      value: each => resultOf(each, trans),
      tip: each => resultOf(each, trans)
    }
  ];
  return (
    <section
      className="gol-Trial"
      aria-label={trans.__('Optimizations of this prompt')}
    >
      <h3>{trans.__('Optimizations of this prompt')}</h3>
      <ListTable
        caption={trans.__('Optimizations of this prompt')}
        columns={columns}
        rows={found}
        rowKey={({ id }) => id}
        rowLabel={each => titleOf(each, trans)}
        onOpen={({ id }) => onOpen(id)}
        sort={{ column: 'when', descending: true }}
        count={count => trans._n('%1 optimization', '%1 optimizations', count)}
        trans={trans}
      />
    </section>
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

function resultOf(
  { stage, sentences = [] }: IOptimization,
  trans: TranslationBundle
): string {
  if (sentences.length > 0) {
    return sentences[0];
  }
  return stage === 'writing'
    ? trans.__('Texts are written: not done.')
    : trans.__('Held-out rows are asked: not done.');
}
