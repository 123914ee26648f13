import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure } from '../../core';
import type { ExperimentsModel } from '../model';
import type { IRelatedRun, IRunDetail } from '../service';

import { statusWord } from './messages';

/** The parent and the children of a run. */
export function RelatedRuns(props: {
  detail: IRunDetail;
  model: ExperimentsModel;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { detail, trans } = props;
  const { parent } = detail;
  const children = detail.children ?? [];
  if (!parent && children.length === 0) {
    return null;
  }
  return (
    <>
      {parent && (
        <Disclosure title={trans.__('Parent run')} initiallyOpen>
          <RunList {...props} runs={[parent]} />
        </Disclosure>
      )}
      {children.length > 0 && (
        <Disclosure
          title={trans.__('Child runs')}
          meta={
            detail.more_children
              ? trans.__('more than %1', children.length)
              : String(children.length)
          }
          initiallyOpen
        >
          <RunList {...props} runs={children} />
          {detail.more_children && (
            <p className="gol-Run-quiet">
              {trans.__(
                'This run has more child runs. Find them in the run table.'
              )}
            </p>
          )}
        </Disclosure>
      )}
    </>
  );
}

function RunList(props: {
  runs: IRelatedRun[];
  model: ExperimentsModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { runs, model, trans } = props;
  return (
    <ul className="gol-Run-products">
      {runs.map(run => (
        <li key={run.run_id} className="gol-Run-product">
          <span className="gol-Run-productName" title={run.run_id}>
            {model.run(run.run_id) ? (
              <button
                type="button"
                className="gol-LinkButton"
                onClick={() => model.open(run.run_id)}
              >
                {run.name || run.run_id}
              </button>
            ) : (
              run.name || run.run_id
            )}
          </span>
          <span className="gol-Run-flavors">
            {statusWord(run.status, trans).label}
          </span>
        </li>
      ))}
    </ul>
  );
}
