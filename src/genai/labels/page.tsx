import type { Message } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import {
  ActionButton,
  EmptyState,
  FollowingView,
  RelativeTime,
  ResourceView,
  ShowMore,
  tellFailure,
  useRevision
} from '../../core';
import { ITaskNotifier } from '../../tasks/tokens';
import { genaiIcon } from '../icon';
import type { IPageContext } from '../loading';

import { Alignments } from './alignments';
import { Failures } from './failures';
import { LabelsModel } from './model';
import { Rating } from './rating';

import '../../../style/core/page.css';
import '../../../style/genai/labels.css';
import '../../../style/genai/failures.css';

/** Return the page of labels. `id`: the queue that it opens. */
export async function labelsPage({
  app,
  core,
  id,
  state
}: IPageContext): Promise<Widget> {
  const model = new LabelsModel(
    core,
    app.serviceManager.contents,
    state,
    await app.resolveOptionalService(ITaskNotifier)
  );
  if (id) {
    void model.choose(id);
  }
  return new LabelsPage(model);
}

class LabelsPage extends FollowingView<LabelsModel> {
  constructor(model: LabelsModel) {
    super(model);
    const { trans } = model;
    this.addClass('gol-Page');
    this.addClass('gol-Labels');
    this.node.tabIndex = -1;
    this.title.label = trans.__('Labels');
    this.title.caption = trans.__(
      'Label answers, and compare judges with them'
    );
    this.title.icon = genaiIcon;
    this.title.closable = true;
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus({ preventScroll: true });
    }
  }

  protected override render(): React.ReactElement {
    return <Labels model={this.model} />;
  }
}

function Labels({ model }: { model: LabelsModel }): React.ReactElement {
  useRevision(model.changed);
  return model.alignments ? (
    <Alignments
      model={model.alignments}
      onClose={() => model.hideAlignments()}
    />
  ) : model.failures ? (
    <Failures model={model.failures} onClose={() => model.hideFailures()} />
  ) : model.open ? (
    <Rating model={model} open={model.open} />
  ) : (
    <Queues model={model} />
  );
}

function Queues({ model }: { model: LabelsModel }): React.ReactElement {
  const { trans, error } = model;
  const begin = async () => {
    try {
      const { openBegin } = await import('./begin-dialog');
      const made = await openBegin(model);
      if (made) {
        await model.choose(made.id);
      }
    } catch (reason) {
      await tellFailure(reason, trans);
    }
  };
  return (
    <ResourceView
      resource={model.queues}
      trans={trans}
      down={trans.__('The labels cannot be read.')}
      keepMounted
      empty={
        <EmptyState
          text={trans.__(
            'No labels. People label answers of an evaluation that are chosen at random; then a judge can be compared with them.'
          )}
          actions={[
            {
              label: trans.__('Begin to label…'),
              primary: true,
              onClick: () => void begin()
            }
          ]}
        />
      }
    >
      {queues => (
        <>
          <header className="gol-Page-head">
            <h2>{trans.__('Labels')}</h2>
            <span className="gol-Page-actions">
              <ActionButton
                label={trans.__('Begin to label…')}
                onClick={() => void begin()}
              />
            </span>
          </header>
          {error && (
            <p className="gol-Field-error" role="alert">
              {error.message} {error.hint}
            </p>
          )}
          <ul className="gol-Labels-queues">
            {queues.map(queue => (
              <li key={queue.id}>
                <button
                  type="button"
                  className="gol-Labels-queue"
                  disabled={Boolean(queue.problem)}
                  onClick={() => void model.choose(queue.id)}
                >
                  <span className="gol-Labels-name">{queue.name}</span>
                  <span className="gol-Labels-facts">
                    {trans.__(
                      '%1 of %2 answers labelled',
                      queue.labelled,
                      queue.items
                    )}
                    <RelativeTime seconds={queue.created_at} trans={trans} />
                  </span>
                  {queue.problem && (
                    <span className="gol-Labels-facts">{queue.problem}</span>
                  )}
                </button>
              </li>
            ))}
          </ul>
          <ShowMore list={model.queues} trans={trans} />
        </>
      )}
    </ResourceView>
  );
}
