import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  DataTable,
  Field,
  ResourceView,
  tellFailure
} from '../../core';
import { PageHead } from '../../core/ui/page';
import { differenceScale } from '../evaluations/figures';
import { Interval } from '../evaluations/interval';
import { CostForm } from '../prompts/cost-form';
import { ChangedParts } from '../prompts/difference';
import {
  CostParts,
  isComplete,
  LIMITS,
  ModelSelect,
  OptimizerFields
} from '../prompts/optimizer-fields';
import { OptimizerList, OptimizerResult } from '../prompts/optimizer-work';
import type { IWork } from '../prompts/work-model';
import { callsText } from '../prompts/work-messages';

import type {
  AlignmentsModel,
  IAlignment,
  INewAlignment
} from './alignments-model';
import { agreementColumns } from './results';
import { ScorerFile } from './scorer-file';

import '../../../style/genai/prompts.css';

/** The alignments of the judges of an evaluation. */
export function Alignments(props: {
  model: AlignmentsModel;
  onClose: () => void;
}): React.ReactElement {
  const { model, onClose } = props;
  const { trans, report } = model;
  const root = React.useRef<HTMLElement>(null);
  React.useEffect(() => root.current?.focus({ preventScroll: true }), []);
  return (
    <section
      ref={root}
      className="gol-Labels-alignments gol-Trials"
      tabIndex={-1}
      aria-label={trans.__('Align a judge')}
    >
      <PageHead
        title={trans.__('Align a judge')}
        actions={
          <ActionButton label={trans.__('Back to labels')} onClick={onClose} />
        }
      >
        <span className="gol-Labels-facts">{report.queue.name}</span>
      </PageHead>
      <NewAlignment model={model} />
      <ResourceView
        resource={model.chosen}
        trans={trans}
        down={trans.__('The alignment cannot be read.')}
        keepMounted
        empty={
          <p className="gol-Note">
            {trans.__('No judge of this evaluation was aligned yet.')}
          </p>
        }
      >
        {work =>
          work && (
            <ShownAlignment key={work.found.id} model={model} work={work} />
          )
        }
      </ResourceView>
      <ResourceView
        resource={model.list}
        trans={trans}
        down={trans.__('The alignments cannot be listed.')}
        keepMounted
        empty={null}
      >
        {found => (
          <OptimizerList
            caption={trans.__('Alignments of this evaluation')}
            found={found}
            columns={[
              {
                id: 'judge',
                title: trans.__('Judge'),
                cell: ({ judge, kept_as }) =>
                  kept_as ? `${judge} → ${kept_as}` : judge,
                value: ({ judge }) => judge
              }
            ]}
            titleOf={each => titleOf(each, trans)}
            writing={trans.__('Criteria are written: not done.')}
            comparing={trans.__('Held-out labels are compared: not done.')}
            count={count => trans._n('%1 alignment', '%1 alignments', count)}
            onOpen={id => void model.choose(id)}
            trans={trans}
          />
        )}
      </ResourceView>
    </section>
  );
}

/** What is aligned: a judge, the model that writes, and limits. The cost comes before the calls. */
function NewAlignment(props: { model: AlignmentsModel }): React.ReactElement {
  const { model } = props;
  const { trans, report } = model;
  const judges = (report.judges ?? []).filter(({ criterion }) => criterion);
  const [judge, setJudge] = React.useState(judges[0]?.scorer ?? '');
  const [writer, setWriter] = React.useState('');
  const [limits, setLimits] = React.useState(LIMITS);
  const chosen = judges.find(({ scorer }) => scorer === judge);
  const body: INewAlignment = {
    evaluation: report.queue.evaluation ?? '',
    judge,
    writer,
    ...limits,
    // A person reads what the criterion is worth first.
    keep: 'asked'
  };
  return (
    <CostForm
      label={trans.__('Align the judge')}
      canAsk={[judge, writer].every(Boolean) && isComplete(limits)}
      onCost={() => model.cost(body)}
      onStart={() => model.start(body)}
      costText={cost => (
        <>
          <p>
            {trans.__(
              'Labels of the question %1: %2 train, %3 are held out.',
              cost.question,
              cost.training,
              cost.held_out
            )}
          </p>
          <p>{callsText(cost, trans)}</p>
          <CostParts parts={cost.parts} trans={trans} />
        </>
      )}
      startLabel={({ calls }) =>
        trans._n(
          'Align with at most %1 call',
          'Align with at most %1 calls',
          calls
        )
      }
      trans={trans}
    >
      <p className="gol-Note">
        {trans.__(
          'A model writes a better criterion by one part of the labels. The held-out labels, which the model does not see, show what the criterion is worth. The judge stays as it is until you keep the new one.'
        )}
      </p>
      <div className="gol-Optimize-fields">
        <Field label={trans.__('Judge')} help={chosen?.criterion}>
          {control => (
            <select
              {...control}
              value={judge}
              onChange={({ target }) => setJudge(target.value)}
            >
              {judges.map(({ scorer }) => (
                <option key={scorer}>{scorer}</option>
              ))}
            </select>
          )}
        </Field>
        <ResourceView
          resource={model.endpoints}
          trans={trans}
          down={trans.__('The models cannot be listed.')}
          keepMounted
          empty={
            <p className="gol-Note">
              {trans.__(
                'No model can write criteria. Add one on the page Endpoints.'
              )}
            </p>
          }
        >
          {({ endpoints }) => (
            <ModelSelect
              label={trans.__('Model that writes')}
              help={trans.__('It reads the labelled answers that train')}
              value={writer}
              names={endpoints.map(({ name }) => name)}
              onChange={setWriter}
              trans={trans}
            />
          )}
        </ResourceView>
      </div>
      <OptimizerFields
        limits={limits}
        texts={trans.__('Criteria that are written')}
        heldOut={trans.__('Held-out labels, in %')}
        onChange={setLimits}
        trans={trans}
      />
    </CostForm>
  );
}

/** One alignment: how far it is, both criteria beside held-out labels, and the button that keeps the new judge. */
function ShownAlignment(props: {
  model: AlignmentsModel;
  work: IWork<IAlignment>;
}): React.ReactElement {
  const { model, work } = props;
  const { trans } = model;
  const { found } = work;
  const { before, after, difference, changed = [] } = found;
  return (
    <OptimizerResult
      model={model}
      work={work}
      title={titleOf(found, trans)}
      facts={trans.__(
        '%1 · %2 labels train, %3 labels are held out · %4 writes',
        found.question,
        found.training_answers,
        found.held_out_answers,
        found.writer
      )}
      progress={trans.__('Marks')}
      ended={trans.__('The alignment ended early.')}
      trans={trans}
    >
      {difference && (
        <p className="gol-Optimize-difference">
          <span>{trans.__('Agreement, new less old')}</span>
          <Interval
            estimate={difference}
            scale={differenceScale([difference])}
            isDifference
            caption={trans._n(
              'New criterion less old criterion on %1 held-out row, with the 95 % interval',
              'New criterion less old criterion on %1 held-out rows, with the 95 % interval',
              difference.n
            )}
            trans={trans}
          />
        </p>
      )}
      {before && after && (
        <DataTable
          caption={trans.__('Both criteria beside held-out labels')}
          columns={agreementColumns(trans.__('Criterion'), trans)}
          rows={[
            { ...before, scorer: trans.__('Old') },
            { ...after, scorer: trans.__('New') }
          ]}
          rowKey={({ scorer }) => scorer}
        />
      )}
      {changed.length > 0 && (
        <ChangedParts
          parts={[{ part: trans.__('Criterion'), pieces: changed }]}
        />
      )}
      {found.stage === 'done' && found.new_criterion && (
        <NewJudge model={model} found={found} />
      )}
    </OptimizerResult>
  );
}

/** The button that keeps the new judge; then the judge, and the button that uses it. */
function NewJudge(props: {
  model: AlignmentsModel;
  found: IAlignment;
}): React.ReactElement {
  const { model, found } = props;
  const { trans } = model;
  const { kept_as, rubric, verdict } = found;
  const [busy, setBusy] = React.useState(false);
  const [isScored, setScored] = React.useState(false);
  const attempt = async (action: Promise<void>, then?: () => void) => {
    setBusy(true);
    await action.then(then).catch((reason: unknown) => {
      tellFailure(reason, trans);
    });
    setBusy(false);
  };
  if (!kept_as || !rubric) {
    return (
      <div className="gol-Actions">
        <ActionButton
          primary={verdict === 'better'}
          label={trans.__('Keep')}
          caption={trans.__(
            'Register the new judge in MLflow. The old one stays.'
          )}
          busy={busy}
          onClick={() => void attempt(model.keep(found.id))}
        />
      </div>
    );
  }
  return (
    <>
      <p role="status">
        {isScored
          ? trans.__(
              '%1 marks the answers. The page Evaluations shows how far it is.',
              kept_as
            )
          : trans.__('MLflow has the judge %1.', kept_as)}
      </p>
      <ScorerFile
        name={kept_as}
        rubric={rubric}
        note={trans.__(
          'The new judge is not calibrated until it has marked the answers and held-out labels agree.'
        )}
        contents={model.contents}
        trans={trans}
      >
        <ActionButton
          primary={!isScored}
          label={trans.__('Score the answers with it')}
          caption={trans.__('The judge is asked once for each kept answer')}
          disabled={isScored}
          busy={busy}
          onClick={() =>
            void attempt(model.score(found), () => setScored(true))
          }
        />
      </ScorerFile>
    </>
  );
}

function titleOf(
  { judge, created_at }: IAlignment,
  trans: TranslationBundle
): string {
  return trans.__(
    'Alignment of %1, %2',
    judge,
    new Date(created_at * 1000).toLocaleString()
  );
}
