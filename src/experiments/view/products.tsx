import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, fileIcon, folderIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Disclosure,
  IconButton,
  formatBytes,
  modelIcon
} from '../../core';
import type { IArtifact, ILoggedModel, IRun } from '../service';

import type { IRunActions } from './actions';

const MOST_FILES = 100;
/** The folder of a run's profiles among its artifacts. */
const PROFILES = 'profiles';

/** The models that a run logged, each with a button to register it. */
export function LoggedModels(
  props: LoggedModels.IProps
): React.ReactElement | null {
  const { run, models, actions, trans } = props;
  if (models.length === 0) {
    return null;
  }
  return (
    <Disclosure
      title={trans.__('Models')}
      meta={String(models.length)}
      initiallyOpen
    >
      <ul className="gol-Run-products">
        {models.map(model => (
          <li key={model.uri} className="gol-Run-product">
            <modelIcon.react tag="span" className="gol-Icon" />
            <span className="gol-Run-productName" title={model.uri}>
              {model.name}
              {model.flavors.length > 0 && (
                <span className="gol-Run-flavors">
                  {model.flavors.join(', ')}
                </span>
              )}
            </span>
            <IconButton
              icon={addIcon}
              label={trans.__(
                'Insert code that loads the model %1',
                model.name
              )}
              onClick={() => actions.insertCode(run, model)}
            />
            {actions.canRegister() && (
              <ActionButton
                label={trans.__('Register…')}
                caption={trans.__('Register the model %1', model.name)}
                onClick={() => actions.register(run, model)}
              />
            )}
          </li>
        ))}
      </ul>
    </Disclosure>
  );
}

export namespace LoggedModels {
  export interface IProps {
    run: IRun;
    models: readonly ILoggedModel[];
    actions: IRunActions;
    trans: TranslationBundle;
  }
}

/** The files and folders at the top of a run's artifacts. */
export function ArtifactList(
  props: ArtifactList.IProps
): React.ReactElement | null {
  const { artifacts, onOpenProfile, trans } = props;
  if (artifacts.length === 0) {
    return null;
  }
  const more = artifacts.length - MOST_FILES;
  return (
    <Disclosure title={trans.__('Artifacts')} meta={String(artifacts.length)}>
      <ul className="gol-Run-products">
        {artifacts.slice(0, MOST_FILES).map(({ path, is_dir, size_bytes }) => {
          const Icon = is_dir ? folderIcon : fileIcon;
          return (
            <li key={path} className="gol-Run-product">
              <Icon.react tag="span" className="gol-Icon" />
              <span className="gol-Run-productName" title={path}>
                {path}
              </span>
              {typeof size_bytes === 'number' && (
                <span className="gol-Run-size">{formatBytes(size_bytes)}</span>
              )}
              {is_dir && path === PROFILES && onOpenProfile && (
                <ActionButton
                  label={trans.__('Open profile')}
                  caption={trans.__(
                    'Show the time of this run by line and operator'
                  )}
                  onClick={onOpenProfile}
                />
              )}
            </li>
          );
        })}
      </ul>
      {more > 0 && (
        <p className="gol-Run-quiet">{trans._n('%1 more', '%1 more', more)}</p>
      )}
    </Disclosure>
  );
}

export namespace ArtifactList {
  export interface IProps {
    artifacts: readonly IArtifact[];
    /** Null if profiles cannot be opened. */
    onOpenProfile: (() => void) | null;
    trans: TranslationBundle;
  }
}
