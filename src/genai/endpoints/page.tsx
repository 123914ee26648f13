import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable } from '../../core';
import {
  ActionButton,
  Disclosure,
  EmptyState,
  RelativeTime,
  Resource,
  ResourceView,
  StatusBadge,
  confirm,
  tellFailure
} from '../../core';
import { ListTable } from '../../core/ui/list-table';
import { PageHead, ResourcePage } from '../../core/ui/page';
import { StepList } from '../../core/ui/step-list';
import { genaiIcon } from '../icon';
import type { IPageContext } from '../loading';

import type {
  IEndpoint,
  IEndpoints,
  IEndpointStep,
  IEndpointTest
} from './service';
import { EndpointsService } from './service';
import {
  kindOf,
  limitsOf,
  priceOf,
  stateOf,
  stepTitles,
  taskOf
} from './messages';

import '../../../style/genai/endpoints.css';

type Context = Pick<IPageContext, 'core'>;

/** Return the page of models that answer. */
export function endpointsPage({ core }: Context): ResourcePage<IEndpoints> {
  const { api, events, trans } = core;
  const service = new EndpointsService(api);
  const list = new Resource({
    fetch: signal => service.list(signal),
    events,
    kinds: ['endpoint', 'deployment'],
    isEmpty: ({ endpoints, notes }) => !endpoints.length && !notes?.length,
    trans
  });
  return new ResourcePage(list, {
    title: trans.__('Endpoints'),
    icon: genaiIcon,
    render: () => <EndpointsView list={list} service={service} core={core} />
  });
}

function EndpointsView(
  props: Context & { list: Resource<IEndpoints>; service: EndpointsService }
): React.ReactElement {
  const { list, service } = props;
  const { live, trans } = props.core;
  const [running, setRunning] = React.useState<ReadonlyMap<string, IRunning>>(
    new Map()
  );
  const attempt = (work: Promise<unknown>) =>
    work.catch((reason: unknown) => tellFailure(reason, trans));
  const tell = (name: string, change: Partial<IRunning> | undefined) =>
    setRunning(before => {
      const after = new Map(before);
      const known = after.get(name) ?? { steps: [], cancel: () => undefined };
      if (change) {
        after.set(name, { ...known, ...change });
      } else {
        after.delete(name);
      }
      return after;
    });
  const test = async (name: string, accept = false) => {
    const abort = new AbortController();
    tell(name, { cancel: () => abort.abort() });
    const steps = live.subscribe<IEndpointTest>(
      `endpoint-test:${name}`,
      found => tell(name, { steps: found.steps ?? [] })
    );
    try {
      await service.test(name, accept, abort.signal);
    } catch (reason) {
      if (!abort.signal.aborted) {
        tellFailure(reason, trans);
      }
    }
    steps.dispose();
    await list.refresh();
    tell(name, undefined);
  };
  const add = async () => {
    const { openAddEndpoint } = await import('./add-dialog');
    const added = await openAddEndpoint(service, trans);
    if (added) {
      await test(added.name);
    }
  };
  const remove = async (name: string) => {
    const sure = await confirm({
      title: trans.__('Delete the endpoint “%1”?', name),
      body: trans.__(
        'This deletes the endpoint and its tests from your list. Its secret stays.'
      ),
      action: trans.__('Delete'),
      danger: true,
      trans
    });
    if (sure) {
      await service.delete(name);
      await list.refresh();
    }
  };
  const onAdd = () => void attempt(add());
  const columns: DataTable.IColumn<IEndpoint>[] = [
    {
      id: 'name',
      title: trans.__('Name'),
      isHead: true,
      cell: ({ name }) => name,
      value: ({ name }) => name,
      tip: ({ url }) => url
    },
    {
      id: 'state',
      title: trans.__('State'),
      cell: endpoint => {
        if (running.has(endpoint.name)) {
          return <StatusBadge tone="busy" label={trans.__('Testing…')} />;
        }
        const [tone, label] = stateOf(endpoint, trans);
        return <StatusBadge tone={tone} label={label} />;
      },
      value: endpoint => stateOf(endpoint, trans)[1]
    },
    {
      id: 'task',
      title: trans.__('Kind'),
      wide: true,
      cell: endpoint => taskOf(endpoint, trans),
      value: endpoint => taskOf(endpoint, trans)
    },
    {
      id: 'model',
      title: trans.__('Model'),
      titleTip: trans.__('The model as the endpoint names it'),
      cell: ({ model }) => model,
      value: ({ model }) => model
    },
    {
      id: 'kind',
      title: trans.__('From'),
      wide: true,
      cell: endpoint => kindOf(endpoint, trans),
      value: endpoint => kindOf(endpoint, trans)
    },
    {
      id: 'price',
      title: trans.__('Price'),
      titleTip: trans.__('Price of a million tokens'),
      cell: endpoint => priceOf(endpoint, trans) || trans.__('Not known'),
      value: ({ price }) => price?.input ?? null,
      tip: ({ price }) =>
        [price?.source, price?.date].filter(Boolean).join(', ')
    },
    {
      id: 'limits',
      title: trans.__('Limits'),
      wide: true,
      cell: endpoint => limitsOf(endpoint, trans),
      tip: endpoint => limitsOf(endpoint, trans)
    },
    {
      id: 'tested',
      title: trans.__('Last test'),
      cell: ({ test: last }) =>
        last?.at ? <RelativeTime seconds={last.at} trans={trans} /> : '–',
      value: ({ test: last }) => last?.at || null
    },
    {
      id: 'actions',
      title: trans.__('Actions'),
      cell: ({ name, kind, test: last }) => (
        <span className="gol-Endpoints-actions">
          {running.has(name) ? (
            <ActionButton
              label={trans.__('Cancel')}
              caption={trans.__('Cancel the test of %1', name)}
              onClick={() => running.get(name)?.cancel()}
            />
          ) : (
            <ActionButton
              label={trans.__('Test')}
              caption={trans.__('Test %1 with six short calls', name)}
              onClick={() => void test(name)}
            />
          )}
          {last?.state === 'changed' && (
            <ActionButton
              label={trans.__('Accept')}
              caption={trans.__(
                'Compare later tests of %1 with its answers of now',
                name
              )}
              disabled={running.has(name)}
              onClick={() => void test(name, true)}
            />
          )}
          {kind === 'own' && (
            <ActionButton
              label={trans.__('Delete…')}
              caption={trans.__('Delete %1 from your list', name)}
              onClick={() => void attempt(remove(name))}
            />
          )}
        </span>
      )
    }
  ];
  return (
    <>
      <PageHead
        title={trans.__('Endpoints')}
        actions={
          <ActionButton label={trans.__('Add an endpoint…')} onClick={onAdd} />
        }
      />
      <ResourceView
        resource={list}
        trans={trans}
        down={trans.__('Endpoints cannot be read.')}
        late={trans.__('MLflow and the deployments are asked for endpoints.')}
        keepMounted
        empty={
          <EmptyState
            text={trans.__(
              'No endpoints yet. Add a model that answers OpenAI’s chat completions, or deploy a language model.'
            )}
            actions={[{ label: trans.__('Add an endpoint…'), onClick: onAdd }]}
          />
        }
      >
        {({ endpoints, notes }) => (
          <>
            {notes?.map(note => (
              <p key={note} className="gol-Note" role="status">
                {note}
              </p>
            ))}
            <ListTable
              caption={trans.__('Endpoints')}
              columns={columns}
              rows={endpoints}
              rowKey={({ name }) => name}
              below={endpoint =>
                findings(endpoint, running.get(endpoint.name), trans)
              }
              sort={{ column: 'name', descending: false }}
              count={count => trans._n('%1 endpoint', '%1 endpoints', count)}
              trans={trans}
            />
          </>
        )}
      </ResourceView>
    </>
  );
}

/** A test that runs. */
interface IRunning {
  steps: readonly IEndpointStep[];
  cancel: () => void;
}

/** What the last test found: why an endpoint does not answer, what differs from its first answers, and the steps. */
function findings(
  { name, test }: IEndpoint,
  running: IRunning | undefined,
  trans: TranslationBundle
): React.ReactElement | null {
  const steps = test?.steps ?? [];
  if (running) {
    return <Steps name={name} steps={running.steps} running trans={trans} />;
  }
  const isFailed = steps.some(({ state }) => state === 'failed');
  const said = [isFailed ? '' : (test?.message ?? '')];
  const lines = [...said, ...(test?.differences ?? [])].filter(Boolean);
  if (!lines.length && !steps.length) {
    return null;
  }
  const warnings = steps.filter(({ state }) => state === 'warning').length;
  return (
    <div className="gol-Endpoints-findings">
      {lines.length > 0 && (
        <ul className="gol-Endpoints-said">
          {lines.map(line => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      {steps.length > 0 && (
        <Disclosure
          key={test?.at}
          title={trans.__('Steps of the test')}
          meta={warnings > 0 && trans._n('%1 warning', '%1 warnings', warnings)}
          initiallyOpen={isFailed}
        >
          <Steps name={name} steps={steps} trans={trans} />
        </Disclosure>
      )}
    </div>
  );
}

function Steps(props: {
  name: string;
  steps: readonly IEndpointStep[];
  running?: boolean;
  trans: TranslationBundle;
}): React.ReactElement {
  const { name, steps, running, trans } = props;
  return (
    <StepList
      label={trans.__('Steps of the test of %1', name)}
      steps={stepTitles(trans).flatMap(([step, title], at) => {
        const found = steps.find(each => each.step === step);
        const state = at === steps.length ? 'running' : 'waiting';
        const shown: StepList.IStep = { state, ...found, step, title };
        return found || running ? [shown] : [];
      })}
      trans={trans}
    />
  );
}
