import type { TranslationBundle } from '@jupyterlab/translation';
import { historyIcon, launchIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import {
  ActionButton,
  EmptyState,
  FollowingView,
  RelativeTime,
  ResourceView,
  ShowMore,
  StatusBadge,
  formatMoment
} from '../../core';
import type { Pages } from '../../core/pages';
import { useResource } from '../../core/ui/hooks';
import type { IAliasMove } from '../history';
import { HistoryModel, newest } from '../history';

import { VersionChange } from './version-change';

import '../../../style/registry/history.css';

/** Open the history of a model's aliases in the main area. */
export async function openHistory(
  pages: Pages<Widget>,
  core: IGenOpsCore,
  name: string
): Promise<void> {
  const { trans } = core;
  const make = () => {
    const view = new HistoryView(new HistoryModel(core, name), trans);
    view.title.label = trans.__('Aliases of %1', name);
    view.title.icon = historyIcon;
    return Promise.resolve(view);
  };
  await pages.open(`genops-alias-history-${name}`, make, { model: name }, true);
}

/** The history of a model's aliases, updated while visible. */
export class HistoryView extends FollowingView<HistoryModel> {
  constructor(
    model: HistoryModel,
    private _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('gol-History');
    this.node.tabIndex = -1;
  }

  protected override onActivateRequest(msg: Message): void {
    this.node.focus();
    super.onActivateRequest(msg);
  }

  protected override render(): React.ReactElement {
    return <History model={this.model} trans={this._trans} />;
  }
}

/** The history in each of its states. */
export function History(props: {
  model: HistoryModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { busy } = useResource(model.moves);
  return (
    <div className="gol-History-body" aria-busy={busy}>
      <div className="gol-History-head">
        <h2>{trans.__('Alias history of %1', model.name)}</h2>
        {model.aliases.length > 1 && (
          <label>
            {trans.__('Alias')}
            <select
              className="jp-mod-styled"
              value={model.alias}
              onChange={event => void model.show(event.target.value)}
            >
              <option value="">{trans.__('All aliases')}</option>
              {model.aliases.map(alias => (
                <option key={alias}>{alias}</option>
              ))}
            </select>
          </label>
        )}
      </div>
      <ResourceView
        resource={model.moves}
        trans={trans}
        down={trans.__('The alias history cannot be read.')}
        keepMounted
        empty={
          <EmptyState
            text={trans.__(
              'No alias of this model was set yet. Each move of an alias is shown here, with its reason.'
            )}
          />
        }
      >
        {moves => <Moves {...props} moves={moves} />}
      </ResourceView>
    </div>
  );
}

function Moves(props: {
  model: HistoryModel;
  moves: readonly IAliasMove[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, moves, trans } = props;
  const current = newest(moves);
  return (
    <>
      <ol
        className="gol-History-list"
        aria-label={trans.__('Moves of aliases, newest first')}
      >
        {moves.map(move => (
          <li
            key={move.id}
            className={`gol-Move gol-mod-${move.kind} ${current.has(move.id) ? 'gol-mod-current' : ''}`}
          >
            <MoveRow
              model={model}
              move={move}
              isCurrent={current.has(move.id)}
              trans={trans}
            />
          </li>
        ))}
      </ol>
      <ShowMore list={model.moves} trans={trans} />
    </>
  );
}

/** One move: alias and versions, who and when, why; the newest of an alias can be reverted. */
function MoveRow(props: {
  model: HistoryModel;
  move: IAliasMove;
  isCurrent: boolean;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, move, isCurrent, trans } = props;
  const [busy, setBusy] = React.useState(false);
  const { alias, from_version: from, to_version: to } = move;
  const row = React.useRef<HTMLDivElement>(null);
  const revert = async () => {
    const list = row.current?.closest('ol');
    setBusy(true);
    await model.revert(move);
    setBusy(false);
    // The button is gone, and with it the focus: the newest move has the next one.
    requestAnimationFrame(() => list?.querySelector('button')?.focus());
  };
  return (
    <>
      <div className="gol-Move-line" ref={row}>
        <span className="gol-Chip" title={alias}>
          <span className="gol-Chip-text">{alias}</span>
        </span>
        <VersionChange from={from} to={to} trans={trans} />
        {isCurrent && to && (
          <StatusBadge
            tone="ok"
            label={trans.__('Current')}
            caption={trans.__('%1 names version %2 now', alias, to)}
          />
        )}
        {move.kind === 'outside' && (
          <StatusBadge
            tone="warning"
            icon={launchIcon}
            label={trans.__('Outside GenOps Lab')}
            caption={trans.__(
              'Another program moved the alias in MLflow, such as a script or a CI job'
            )}
          />
        )}
        {isCurrent && from !== null && (
          <span className="gol-Move-back">
            <ActionButton
              label={
                from
                  ? trans.__('Back to v%1', from)
                  : trans.__('Back to no version')
              }
              caption={
                from
                  ? trans.__('Move %1 back to version %2', alias, from)
                  : trans.__('Remove %1 again', alias)
              }
              disabled={busy}
              onClick={() => void revert()}
            />
          </span>
        )}
      </div>
      {move.reason && <p className="gol-Move-reason">{move.reason}</p>}
      <div className="gol-Move-line gol-Move-facts">
        <Origin move={move} trans={trans} />
        {Object.entries(move.evidence ?? {}).map(([name, value]) => (
          <span key={name} className="gol-Move-evidence">
            {`${name}: `}
            <code>
              {typeof value === 'string' ? value : JSON.stringify(value)}
            </code>
          </span>
        ))}
      </div>
    </>
  );
}

/** Who moved the alias and when, or the time window of a move outside. */
function Origin(props: {
  move: IAliasMove;
  trans: TranslationBundle;
}): React.ReactElement {
  const { move, trans } = props;
  const { since } = move;
  const time = <RelativeTime seconds={move.at} trans={trans} />;
  if (move.kind === 'lab') {
    return (
      <>
        <span className="gol-Move-who">{move.who}</span>
        {time}
      </>
    );
  }
  if (move.kind === 'found' || since === null || since === undefined) {
    return (
      <>
        <span>
          {trans.__('The alias existed when GenOps Lab first looked')}
        </span>
        {time}
      </>
    );
  }
  return (
    <>
      <span>
        {trans.__(
          'Between %1 and %2',
          formatMoment(since),
          formatMoment(move.at)
        )}
      </span>
      {time}
    </>
  );
}
