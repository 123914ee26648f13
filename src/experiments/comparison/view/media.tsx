import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { useResource } from '../../../core/ui/hooks';
import type { MediaModel } from '../../media/model';
import { MediaView } from '../../media/view/media';
import type { ComparisonService, IRunComparison } from '../service';

import { Section } from './section';
import { letter } from './messages';

/**
 * Media of the runs, side by side at the same step; empty if no run has any.
 */
export function MediaSection(
  props: MediaSection.IProps
): React.ReactElement | null {
  const { comparison, model, service, trans } = props;
  useResource(model.resource);
  if (model.rows.length === 0) {
    return null;
  }
  const names = model.runIds.map(runId => {
    const run = comparison.runs.find(each => each.run_id === runId);
    const name = run?.name || runId.slice(0, 8);
    return run ? `${letter(run.column)} ${name}` : name;
  });
  const more = comparison.runs.length - model.runIds.length;
  return (
    <Section
      title={trans.__('Media')}
      meta={
        more > 0
          ? trans.__('first %1 runs', model.runIds.length)
          : String(model.rows.length)
      }
    >
      <MediaView model={model} service={service} names={names} trans={trans} />
    </Section>
  );
}

export namespace MediaSection {
  export interface IProps {
    comparison: IRunComparison;
    model: MediaModel;
    service: Pick<ComparisonService, 'artifact' | 'artifactUrl'>;
    trans: TranslationBundle;
  }
}
