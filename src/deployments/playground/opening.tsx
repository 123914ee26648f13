/** Opens the pages of deployments; loaded with the first. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import {
  FollowingView,
  ResourceView,
  deploymentIcon,
  useSignalled
} from '../../core';
import type { Pages } from '../../core/pages';
import { PageHead } from '../../core/ui/page';
import { Tabs } from '../../core/ui/tabs';

import type { DeploymentsService } from '../service';
import { RolloutPage } from '../view/rollout';
import { AddressChoice, AddressTable } from './addresses';
import { LoadView } from './load';
import type { View } from './page-model';
import { DeploymentPageModel } from './page-model';
import { PlaygroundView } from './view';

import '../../../style/core/page.css';
import '../../../style/core/tabs.css';
import '../../../style/deployments/deployments.css';

/** Open the page of a deployment at one of its views; it stays at its own without one. */
export async function openPlayground(
  pages: Pages<DeploymentPage>,
  core: Pick<IGenOpsCore, 'api' | 'trans' | 'events'>,
  service: DeploymentsService,
  asked: { name: string; view: string }
): Promise<void> {
  const { name, view } = asked;
  const make = () => {
    const model = new DeploymentPageModel(core, service, name);
    return Promise.resolve(new DeploymentPage(model, core.trans));
  };
  const { content } = await pages.open(`genops-try-${name}`, make, { name });
  if (
    view === 'try' ||
    view === 'load' ||
    view === 'rollout' ||
    view === 'addresses'
  ) {
    content.model.view = view;
  }
}

/** The page of a deployment. It takes the focus when it opens. */
export class DeploymentPage extends FollowingView<DeploymentPageModel> {
  constructor(
    model: DeploymentPageModel,
    private _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('gol-Page');
    this.node.tabIndex = -1;
    this.title.label = _trans.__('Try %1', model.name);
    this.title.icon = deploymentIcon;
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus({ preventScroll: true });
    }
  }

  protected override render(): React.ReactElement {
    return <Views model={this.model} trans={this._trans} />;
  }
}

function Choice(props: {
  model: DeploymentPageModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  useSignalled(
    model.changed,
    () => `${model.codeAddress} ${model.addresses.length}`
  );
  return (
    <AddressChoice
      addresses={model.addresses}
      chosen={model.codeAddress}
      onChoose={kind => {
        model.codeAddress = kind;
      }}
      trans={trans}
    />
  );
}

function Views(props: {
  model: DeploymentPageModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { name } = model;
  const view = useSignalled(model.changed, () => model.view);
  return (
    <Tabs
      label={trans.__('Views of %1', name)}
      selected={view}
      onSelect={id => {
        model.view = id as View;
      }}
      tabs={[
        {
          id: 'try',
          label: trans.__('Try it'),
          render: () => (
            <PlaygroundView
              name={name}
              code={make => model.code(make)}
              choice={<Choice model={model} trans={trans} />}
              resource={model.shown}
              send={(body, path) => model.send(body, path)}
              chat={model.chat}
              trans={trans}
            />
          )
        },
        {
          id: 'load',
          label: trans.__('Load tests'),
          render: () => (
            <>
              <PageHead title={trans.__('Load of %1', name)} />
              <LoadView
                model={model.load}
                recording={model.recording}
                trans={trans}
              />
            </>
          )
        },
        {
          id: 'rollout',
          label: trans.__('Rollout'),
          render: () => (
            <>
              <PageHead title={trans.__('Rollout of %1', name)} />
              <ResourceView
                resource={model.rollout}
                trans={trans}
                down={trans.__('The rollout cannot be read.')}
                keepMounted
                empty={
                  <p className="gol-Note">
                    {trans.__(
                      'No rollout yet. Choose one when you deploy another version under this name.'
                    )}
                  </p>
                }
              >
                {rollout =>
                  rollout && <RolloutPage rollout={rollout} trans={trans} />
                }
              </ResourceView>
            </>
          )
        },
        {
          id: 'addresses',
          label: trans.__('Addresses'),
          render: () => (
            <>
              <PageHead title={trans.__('Addresses of %1', name)} />
              <ResourceView
                resource={model.shown}
                trans={trans}
                down={trans.__('The deployment cannot be asked.')}
                keepMounted
                empty={null}
              >
                {() => (
                  <AddressTable addresses={model.addresses} trans={trans} />
                )}
              </ResourceView>
            </>
          )
        }
      ]}
    />
  );
}
