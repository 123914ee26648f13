import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  caretRightIcon,
  closeIcon,
  deleteIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  CopyButton,
  IconButton,
  RelativeTime,
  ShortId,
  StatusBadge,
  deploymentIcon
} from '../../core';

import { VersionEvaluations } from '../../evaluations/view/version-evaluations';
import { VersionGates } from '../../gates/view/version-gates';
import { aliasIcon } from '../icon';
import type { ModelsModel } from '../model';
import { loadingCode } from '../importing';
import { describeOrigin } from '../origin';
import type { IModelVersion, ModelsService } from '../service';

import { Described } from './described';
import type { IVersionActions } from './section';
import { VersionFacts } from './version-facts';

/** One version: number, aliases, age, flavors, run and actions; below, what its files say and how it was judged. */
export function VersionRow(props: VersionRow.IProps): React.ReactElement {
  const { version, trans, onDeploy, onSetAlias, onRemoveAlias } = props;
  const [open, setOpen] = React.useState(false);
  const id = React.useId();
  // Every model has the flavor python_function: show it only where it is the only one.
  const flavors =
    version.flavors.length > 1
      ? version.flavors.filter(flavor => flavor !== 'python_function')
      : version.flavors;
  const origin = describeOrigin(version.origin, trans);
  const full = trans.__('%1 version %2', version.name, version.version);
  return (
    <div className="gol-Version">
      <div className="gol-Version-line">
        <button
          type="button"
          className={`gol-Version-number ${open ? 'gol-mod-open' : ''}`}
          aria-expanded={open}
          aria-controls={open ? id : undefined}
          aria-label={trans.__('Details of %1', full)}
          title={trans.__(
            'Files, evaluations, gates, lineage and card of this version'
          )}
          onClick={() => setOpen(!open)}
        >
          <caretRightIcon.react
            tag="span"
            className="gol-Icon gol-Version-caret"
          />
          <span>{`v${version.version}`}</span>
        </button>
        <span className="gol-Chips">
          {version.aliases.map(alias => (
            <span key={alias} className="gol-Chip" title={alias}>
              <span className="gol-Chip-text">{alias}</span>
              <button
                type="button"
                className="gol-Chip-remove"
                aria-label={trans.__(
                  'Remove the alias %1 from %2',
                  alias,
                  full
                )}
                title={trans.__('Remove the alias %1', alias)}
                onClick={() => onRemoveAlias(version, alias)}
              >
                <closeIcon.react tag="span" className="gol-Icon" />
              </button>
            </span>
          ))}
        </span>
        <span className="gol-Version-actions">
          <IconButton
            icon={aliasIcon}
            label={trans.__('Set an alias of %1…', full)}
            onClick={() => onSetAlias(version)}
          />
          <IconButton
            icon={deploymentIcon}
            label={trans.__('Deploy %1…', full)}
            onClick={() => onDeploy(version)}
          />
          <IconButton
            icon={deleteIcon}
            label={trans.__('Delete %1…', full)}
            onClick={() => props.onDelete(version.name, version.version)}
          />
        </span>
      </div>
      <div className="gol-Version-line gol-Version-facts">
        {version.status !== 'READY' && (
          <StatusBadge
            tone={version.status.startsWith('FAILED') ? 'error' : 'busy'}
            label={
              version.status.startsWith('FAILED')
                ? trans.__('Failed')
                : trans.__('Pending')
            }
            caption={version.status}
          />
        )}
        {version.created_at !== null && (
          <RelativeTime seconds={version.created_at} trans={trans} />
        )}
        {version.flavors.length > 0 && (
          <span
            className="gol-Version-flavors"
            title={version.flavors.join(', ')}
          >
            {flavors.join(', ')}
          </span>
        )}
        {version.run_id && (
          <span className="gol-Version-run">
            {trans.__('run')}
            <ShortId
              id={version.run_id}
              label={trans.__('Copy the run id')}
              trans={trans}
            />
          </span>
        )}
      </div>
      {origin && (
        <p className="gol-Note gol-Version-origin" title={origin}>
          {origin}
        </p>
      )}
      {version.rollout && (
        <p className="gol-Note gol-Version-origin" title={version.rollout.why}>
          {version.rollout.state === 'promoted'
            ? trans.__(
                'Promoted in %1: %2',
                version.rollout.deployment,
                version.rollout.why
              )
            : trans.__(
                'Rolled back in %1: %2',
                version.rollout.deployment,
                version.rollout.why
              )}
        </p>
      )}
      {version.description && !open && (
        <p
          className="gol-Note gol-Version-origin gol-Version-brief"
          title={version.description}
        >
          {version.description}
        </p>
      )}
      {open && (
        <div id={id}>
          <div className="gol-Version-links">
            <button
              type="button"
              className="gol-LinkButton"
              aria-label={trans.__('Lineage of %1', full)}
              onClick={() =>
                props.onLineage(`model:${version.name}@${version.version}`)
              }
            >
              {trans.__('Lineage')}
            </button>
            <button
              type="button"
              className="gol-LinkButton"
              aria-label={trans.__('Card of %1', full)}
              onClick={() => props.onCard(version)}
            >
              {trans.__('Card')}
            </button>
            <CopyButton
              text={() => loadingCode(props.service.api, version)}
              label={trans.__('Copy the code that loads %1', full)}
              word={trans.__('Copy loading code')}
              trans={trans}
            />
          </div>
          <Described
            described={version}
            full={full}
            api={props.service.api}
            rendermime={props.rendermime}
            onSaved={() => props.model.list.refresh()}
            trans={trans}
          />
          <VersionFacts
            version={version}
            service={props.service}
            trans={trans}
          />
          <VersionEvaluations
            core={props.model.core}
            name={version.name}
            version={version.version}
            onEvaluate={() => props.onEvaluate(version)}
          />
          <VersionGates
            version={version}
            api={props.service.api}
            trans={trans}
          />
        </div>
      )}
    </div>
  );
}

export namespace VersionRow {
  export interface IProps extends IVersionActions {
    version: IModelVersion;
    model: ModelsModel;
    service: ModelsService;
    rendermime: IRenderMimeRegistry;
    trans: TranslationBundle;
  }
}
