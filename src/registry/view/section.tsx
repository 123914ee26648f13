import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  Disclosure,
  EmptyState,
  PagedResource,
  RelativeTime,
  ResourceView,
  ShowMore,
  useResource
} from '../../core';

import type { ModelsModel } from '../model';
import type { IModelVersion, IRegisteredModel } from '../service';

import { Described } from './described';
import { VersionRow } from './version-row';

import '../../../style/registry/registry.css';

const FIRST_SHOWN = 5;

/** The actions on a version. */
export interface IVersionActions {
  onDeploy: (version: IModelVersion) => void;
  onCard: (version: IModelVersion) => void;
  onSetAlias: (version: IModelVersion) => void;
  onRemoveAlias: (version: IModelVersion, alias: string) => void;
  /** Show the lineage of an object, such as `model:digits@3`. */
  onLineage: (of: string) => void;
  onEvaluate: (version: IModelVersion) => void;
  /** Delete a version after a question; without one, the model. */
  onDelete: (model: string, version?: string) => void;
}

/** The section "Models". */
export function ModelsSection(props: ModelsSection.IProps): React.ReactElement {
  const { model, trans, onRegister } = props;
  return (
    <ResourceView
      resource={model.list}
      trans={trans}
      down={trans.__('Models cannot be read.')}
      late={trans.__('MLflow is slow: waiting for the list of models.')}
      keepMounted
      empty={
        <EmptyState
          text={trans.__(
            'No models yet. Register the model of a run, or files, to give it a name and a version. You can then deploy it.'
          )}
          actions={[
            { label: trans.__('Register a model…'), onClick: onRegister }
          ]}
        />
      }
    >
      {models => (
        <>
          <ul className="gol-List" aria-label={trans.__('Models')}>
            {models.map(registered => (
              <li key={registered.name}>
                <Disclosure
                  title={registered.name}
                  tip={registered.name}
                  initiallyOpen={models.length === 1}
                  meta={<ModelMeta model={registered} trans={trans} />}
                >
                  <Versions {...props} registered={registered} />
                </Disclosure>
              </li>
            ))}
          </ul>
          <ShowMore list={model.list} trans={trans} />
        </>
      )}
    </ResourceView>
  );
}

export namespace ModelsSection {
  export interface IProps extends IVersionActions {
    model: ModelsModel;
    rendermime: IRenderMimeRegistry;
    trans: TranslationBundle;
    onRegister: () => void;
    /** Open the history of a model's aliases. */
    onHistory: (name: string) => void;
  }
}

function ModelMeta(props: {
  model: IRegisteredModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const count = model.versions.length;
  return (
    <>
      <span>
        {model.older
          ? trans.__('more than %1 versions', count)
          : trans._n('%1 version', '%1 versions', count)}
      </span>
      {model.updated_at !== null && (
        <span className="gol-mod-wide">
          <RelativeTime seconds={model.updated_at} trans={trans} />
        </span>
      )}
    </>
  );
}

function Versions(
  props: ModelsSection.IProps & { registered: IRegisteredModel }
): React.ReactElement {
  const { registered, trans } = props;
  const [all, setAll] = React.useState(false);
  const { description, name } = registered;
  const { service } = props.model;
  const older = React.useMemo(
    () =>
      new PagedResource<IModelVersion>({
        fetch: ({ after }) => service.versions(name, after ?? registered.older),
        key: ({ version }) => version,
        trans
      }),
    [service, name, registered.older]
  );
  const { value: more = [], error } = useResource(older);
  const known = new Set(registered.versions.map(({ version }) => version));
  const versions = [
    ...registered.versions,
    ...more.filter(({ version }) => !known.has(version))
  ];
  const hasOlder = more.length > 0 ? older.hasMore : registered.older !== '';
  const shown = all ? versions : versions.slice(0, FIRST_SHOWN);
  return (
    <>
      <Described
        described={{ name, version: '', description, tags: registered.tags }}
        full={name}
        api={service.api}
        rendermime={props.rendermime}
        onSaved={() => props.model.list.refresh()}
        trans={trans}
      />
      <ul
        className="gol-List"
        aria-label={trans.__('Versions of %1', registered.name)}
      >
        {shown.map(version => (
          <li key={version.version}>
            <VersionRow {...props} version={version} service={service} />
          </li>
        ))}
      </ul>
      {versions.length > FIRST_SHOWN && (
        <button
          type="button"
          className="gol-LinkButton"
          aria-expanded={all}
          onClick={() => setAll(!all)}
        >
          {all
            ? trans.__('Show fewer')
            : hasOlder
              ? trans.__('Show the newest %1', versions.length)
              : trans.__('Show all %1', versions.length)}
        </button>
      )}
      {error && (
        <p className="gol-Field-error" role="alert">
          {error.message} {error.hint}
        </p>
      )}
      {all && hasOlder && (
        <button
          type="button"
          className="gol-LinkButton"
          onClick={() => void older.showMore()}
        >
          {trans.__('Show older versions')}
        </button>
      )}
      <button
        type="button"
        className="gol-LinkButton gol-Versions-history"
        onClick={() => props.onHistory(name)}
      >
        {trans.__('Alias history')}
      </button>
      <button
        type="button"
        className="gol-LinkButton"
        aria-label={trans.__('Delete the model %1…', name)}
        onClick={() => props.onDelete(name)}
      >
        {trans.__('Delete model…')}
      </button>
    </>
  );
}
