import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Resource, ResourceView } from '../../core';

import { ExamplesView, useChosen } from './examples';
import type { ICandidate } from './figures';
import { candidatesOf } from './figures';
import { Comparisons, Findings, Slices } from './scores';
import { Select } from './select';
import type {
  AnswersService,
  IComparedResults,
  IEvaluation,
  IListed,
  IReport
} from './service';

interface IProps {
  evaluation: IEvaluation;
  report: IReport;
  service: AnswersService;
  onTrace: (id: string) => void;
  trans: TranslationBundle;
}

/** A result beside another one of the same rows, which is chosen here. */
export function Comparison(props: IProps): React.ReactElement {
  const { evaluation, service, trans } = props;
  const [against, setAgainst] = React.useState('');
  const listed = React.useMemo(
    () =>
      new Resource<IListed[]>({ fetch: signal => service.list(signal), trans }),
    [service, trans]
  );
  useShown(listed);
  return (
    <section aria-label={trans.__('Comparison with another result')}>
      <ResourceView
        resource={listed}
        trans={trans}
        down={trans.__('The evaluations cannot be read.')}
        empty={null}
      >
        {found => (
          <Choice
            candidates={candidatesOf(evaluation, found, trans)}
            against={against}
            onChoose={setAgainst}
            trans={trans}
          />
        )}
      </ResourceView>
      {against && <Beside key={against} {...props} against={against} />}
    </section>
  );
}

function Choice(props: {
  candidates: readonly ICandidate[];
  against: string;
  onChoose: (id: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { candidates, against, onChoose, trans } = props;
  const optionOf = ({
    evaluation: { id, created_at },
    problem
  }: ICandidate): [string, string] => {
    const begun = new Date(created_at * 1000).toLocaleString();
    return [
      id,
      problem
        ? trans.__('%1, %2: %3', id, begun, problem)
        : trans.__('%1, %2', id, begun)
    ];
  };
  const options = candidates.filter(({ problem }) => !problem).map(optionOf);
  return (
    <div className="gol-ListTable-bar">
      <Select
        label={trans.__('Compare with')}
        value={against}
        options={[['', trans.__('Choose a result')], ...options]}
        refused={{
          label: trans.__('Not comparable'),
          options: candidates.filter(({ problem }) => problem).map(optionOf)
        }}
        onChange={onChoose}
      />
      {options.length === 0 && (
        <span className="gol-Note" role="status">
          {trans.__(
            'No other result has the same rows and a scorer in common. Evaluate the same file again, with another model or prompt.'
          )}
        </span>
      )}
    </div>
  );
}

function Beside(props: IProps & { against: string }): React.ReactElement {
  const { evaluation, report, against, service, trans } = props;
  const { id } = evaluation;
  const compared = React.useMemo(
    () =>
      new Resource<IComparedResults>({
        fetch: signal => service.compare(id, against, signal),
        trans
      }),
    // The report is new after each stage.
    [service, id, against, report, trans]
  );
  useShown(compared);
  return (
    <ResourceView
      resource={compared}
      trans={trans}
      down={trans.__('The results cannot be compared.')}
      empty={null}
    >
      {found => <Differences {...props} found={found} />}
    </ResourceView>
  );
}

/** The differences of two results, and the examples of both side by side. */
function Differences(
  props: IProps & { found: IComparedResults }
): React.ReactElement {
  const { evaluation, found, service, onTrace, trans } = props;
  const { compared, sentences, notes = [] } = found;
  const { chosen, choose, examples, show } = useChosen(compared[0]);
  const own = compared.filter(({ scorer }) => scorer === chosen.scorer);
  const entry = own.find(({ model }) => model === chosen.model) ?? own[0];
  const sides = React.useMemo(() => {
    const { model, against, against_result = '' } = entry;
    return [
      {
        evaluation: against_result,
        model: against,
        label: trans.__('%1 of %2', against, against_result),
        short: trans.__('Other')
      },
      {
        evaluation: evaluation.id,
        model,
        label: trans.__('%1 of %2', model, evaluation.id),
        short: trans.__('This')
      }
    ];
  }, [entry, evaluation.id, trans]);
  return (
    <>
      <Findings lines={[...sentences, ...notes]} trans={trans} />
      <h3>{trans.__('Differences on the same examples')}</h3>
      <Comparisons compared={compared} onShow={show} trans={trans} />
      <Slices compared={compared} trans={trans} />
      <div ref={examples}>
        <ExamplesView
          {...{ evaluation, sides, service, chosen, onTrace, trans }}
          report={found}
          scorers={[...new Set(compared.map(({ scorer }) => scorer))]}
          models={own.map(({ model, against }) => [
            model,
            trans.__('%1 beside %2 of the other result', model, against)
          ])}
          compared={entry}
          onChoose={choose}
        />
      </div>
    </>
  );
}

/** Read a resource while the component is there. */
function useShown<T>(resource: Resource<T>): void {
  React.useEffect(() => {
    resource.visible = true;
    return () => resource.dispose();
  }, [resource]);
}
