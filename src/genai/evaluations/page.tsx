import * as React from 'react';
import type { Widget } from '@lumino/widgets';

import { executor } from '../../core';
import { Resource } from '../../core/resource';
import { ResourcePage } from '../../core/ui/page';
import { genaiIcon } from '../icon';
import type { IPageContext } from '../loading';

import { EvaluationsList } from './list';
import { ResultView } from './result';
import { resultResource } from './result-resource';
import type { IListed } from './service';
import { AnswersService } from './service';
import { EvaluationActions } from './state';

import '../../../style/genai/evaluations.css';

/** Return the page of all evaluations of answers; with an id, the page of that one. */
export function evaluationsPage({ app, core, id }: IPageContext): Widget {
  const { events, trans } = core;
  const service = new AnswersService(core.api);
  const execute = executor(app.commands);
  if (id) {
    const result = resultResource(service, id, events, trans);
    const page = new ResourcePage(result, {
      title: id,
      icon: genaiIcon,
      titleOf: ({ evaluation }) => evaluation.name,
      render: () => (
        <ResultView
          {...{ result, service, actions, trans }}
          onTrace={trace => execute('genops:open-traces', { id: trace })}
        />
      )
    });
    const actions = new EvaluationActions(
      service,
      core,
      () => result.refresh(),
      () => {
        execute('genops:open-evaluations');
        page.parent?.close();
      }
    );
    return page;
  }
  const list = new Resource<IListed[]>({
    events,
    kinds: ['answer-evaluation', 'task'],
    fetch: signal => service.list(signal),
    trans
  });
  return new ResourcePage(list, {
    title: trans.__('Evaluations'),
    icon: genaiIcon,
    render: () => (
      <EvaluationsList
        list={list}
        actions={new EvaluationActions(service, core, () => list.refresh())}
        onOpen={evaluation =>
          execute('genops:open-evaluations', { id: evaluation })
        }
        execute={command => execute(command)}
        trans={trans}
      />
    )
  });
}
