/** Opens pages on which one tries a deployment; loaded with the first. */
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { Resource, deploymentIcon } from '../../core';
import type { Pages } from '../../core/pages';
import { streamedItems } from '../../core/items';
import { ResourcePage } from '../../core/ui/page';

import type { IInterface } from './body';
import { ChatModel } from './chat-model';
import type { INewChat, IPart } from './conversation';
import type { IAnswer } from './problem';
import { PlaygroundView } from './view';

/** Open the page of a deployment. */
export async function openPlayground(
  pages: Pages<Widget>,
  core: Pick<IGenOpsCore, 'api' | 'trans'>,
  name: string
): Promise<void> {
  const make = () => Promise.resolve(page(core, name));
  await pages.open(`genops-try-${name}`, make, { name });
}

function page(
  { api, trans }: Pick<IGenOpsCore, 'api' | 'trans'>,
  name: string
): ResourcePage<IInterface> {
  const params = { path: { name } };
  let url = '';
  let revision = 0;
  const resource = new Resource<IInterface>({
    fetch: async signal => {
      const found = await api.data(
        api.http.GET('/deployments/{name}', { params, signal })
      );
      url = found.url ?? '';
      return api.data(
        api.http.GET('/deployments/{name}/interface', { params, signal })
      );
    },
    trans
  });
  async function* ask(
    body: INewChat,
    signal: AbortSignal
  ): AsyncGenerator<IPart> {
    const stream = await api.data(
      api.http.POST('/deployments/{name}/chat', {
        params,
        body,
        signal,
        parseAs: 'stream'
      })
    );
    yield* streamedItems<IPart>(stream!, trans);
  }
  const chat = new ChatModel(ask, trans);
  const send = async (body: string, path: string): Promise<IAnswer> => {
    const answer = await api.data(
      api.http.POST('/deployments/{name}/try', {
        params,
        body: { body, path, content_type: 'application/json' }
      })
    );
    if (revision && answer.revision && answer.revision !== revision) {
      void resource.refresh(); // another version may have another input
    }
    revision = answer.revision ?? 0;
    return answer;
  };
  const opened = new ResourcePage(resource, {
    title: trans.__('Try %1', name),
    icon: deploymentIcon,
    render: () => (
      <PlaygroundView
        name={name}
        url={() => url}
        resource={resource}
        send={send}
        chat={chat}
        trans={trans}
      />
    )
  });
  opened.disposed.connect(() => chat.dispose());
  return opened;
}
