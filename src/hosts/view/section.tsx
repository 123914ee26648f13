import { addIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  ApiError,
  EmptyState,
  IconButton,
  ResourceView,
  useSignalled
} from '../../core';
import { inOrder } from '../model';
import type { ICandidate, ITarget } from '../service';
import type { TargetsModel } from '../model';

import { TargetCard } from './target-card';

import '../../../style/hosts/targets.css';

/** The targets, below this machine. */
export function TargetsView(props: TargetsView.IProps): React.ReactElement {
  const { model, trans, onAdd } = props;
  const latest = useTargets(model);
  return (
    <section className="gol-Targets" aria-label={trans.__('Targets')}>
      <div className="gol-Subhead-row">
        <h4
          className="gol-Subhead"
          title={trans.__(
            'A target is a machine or cluster that runs kernels of your notebooks. Its host is that machine, or a pod or job of the cluster.'
          )}
        >
          {trans.__('Targets')}
          {latest && latest.length > 0 && <span>{latest.length}</span>}
        </h4>
        <IconButton
          icon={addIcon}
          label={trans.__('Add a target…')}
          onClick={() => onAdd()}
        />
      </div>
      <ResourceView
        resource={model.list}
        trans={trans}
        down={trans.__('The list of targets cannot be read.')}
        keepMounted
        empty={<NoTargets {...props} />}
      >
        {fetched => (
          <ul className="gol-Target-list" aria-label={trans.__('Targets')}>
            {inOrder(latest ?? fetched).map(target => (
              <li key={target.name}>
                <TargetCard {...props} target={target} />
              </li>
            ))}
          </ul>
        )}
      </ResourceView>
    </section>
  );
}

export namespace TargetsView {
  export interface IProps extends Omit<TargetCard.IProps, 'target'> {
    /** Add a target; without a candidate the dialog asks for it. */
    onAdd: (candidate?: ICandidate) => void;
  }
}

/**
 * The view without targets: offers the hosts of the ssh_config, or any other
 * host.
 */
function NoTargets(props: TargetsView.IProps): React.ReactElement {
  const { model, trans, onAdd } = props;
  const [found, setFound] = React.useState<
    readonly ICandidate[] | 'reading' | ApiError
  >();
  const list = React.useRef<HTMLUListElement>(null);
  React.useEffect(() => {
    // The pressed button has disappeared: the focus moves to the first of its
    // results.
    list.current?.querySelector('button')?.focus();
  }, [found]);
  const read = () => {
    setFound('reading');
    model.service.candidates().then(setFound, (reason: unknown) => {
      setFound(ApiError.from(reason, trans));
    });
  };
  return (
    <EmptyState
      text={trans.__(
        'A target is a machine or cluster that runs kernels of your notebooks, such as a GPU machine over SSH. Kernels there keep running while the connection is down, your laptop is closed or this Lab restarts. Their outputs are kept.'
      )}
      actions={[
        // Once the hosts are shown, the import has nothing more to do.
        ...(Array.isArray(found) && found.length > 0
          ? []
          : [
              {
                label: trans.__('Import from ~/.ssh/config'),
                caption: trans.__('Show the hosts of your ssh_config'),
                disabled: found === 'reading',
                onClick: read
              }
            ]),
        { label: trans.__('Add a target…'), onClick: () => onAdd() }
      ]}
    >
      <div role="status">
        {found instanceof ApiError ? (
          <p className="gol-Note">{`${found.message} ${found.hint}`}</p>
        ) : Array.isArray(found) && found.length === 0 ? (
          <p className="gol-Note">
            {trans.__('Your ssh_config has no other hosts.')}
          </p>
        ) : null}
      </div>
      {Array.isArray(found) && found.length > 0 && (
        <ul
          ref={list}
          className="gol-Candidates"
          aria-label={trans.__('Hosts of your ssh_config')}
        >
          {(found as readonly ICandidate[]).map(candidate => (
            <li key={candidate.alias}>
              <span className="gol-Candidates-alias" title={candidate.alias}>
                {candidate.alias}
              </span>
              <span className="gol-Candidates-host" title={candidate.hostname}>
                {candidate.hostname}
              </span>
              <ActionButton
                label={trans.__('Add')}
                caption={trans.__('Add %1 and test it', candidate.alias)}
                onClick={() => onAdd(candidate)}
              />
            </li>
          ))}
        </ul>
      )}
    </EmptyState>
  );
}

/** The latest list of targets, drawn again with each. */
function useTargets(model: TargetsModel): readonly ITarget[] | undefined {
  return useSignalled(model.changed, () => model.targets);
}
