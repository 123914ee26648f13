import type { Cell } from '@jupyterlab/cells';
import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  Form,
  FormError,
  keptWords,
  formatDuration
} from '../../core';
import { DialogButton, DialogButtons } from '../../core/ui/model-dialog';

import type { ICellToRerun } from '../cells-to-rerun';
import type { IPlace } from '../picker';
import type { QuestionsModel } from '../questions';
import { lossWords } from '../messages';
import type { RestartChoice } from '../restart';

import { PlaceFields } from './picker-dialog';
import type { IPlaceActions } from './place-dialog';
import { openPlaceDialog } from './place-dialog';

/** What the user chose. */
export interface IRestart {
  /** Null for the present place. */
  readonly place: IPlace | null;
  readonly cells: readonly Cell[];
}

/**
 * Ask where an ended kernel restarts and which cells run again. Resolves to the
 * choice once its place is connected, or to undefined.
 */
export function openRestartDialog(
  options: IRestartOptions
): Promise<IRestart | undefined> {
  const { choice, trans } = options;
  const { picker } = choice;
  return openPlaceDialog({
    ...options,
    model: choice,
    picker,
    title: trans.__(
      'The kernel of “%1” has ended',
      PathExt.basename(options.path)
    ),
    render: actions => <RestartView {...options} {...actions} />,
    chosen: () => ({
      place: picker.isThere ? null : picker.place,
      cells: choice.ticked
    }),
    focus: '.jp-mod-accept'
  });
}

export interface IRestartOptions {
  /** Disposed with the dialog. */
  choice: RestartChoice;
  questions: QuestionsModel;
  trans: TranslationBundle;
  /** The notebook. */
  path: string;
}

/** Why the kernel ended, where it restarts, and the cells that run again. */
export function RestartView(
  props: Omit<IRestartOptions, 'questions'> & IPlaceActions
): React.ReactElement {
  const { choice, trans } = props;
  const { picker } = choice;
  const { targets } = picker.targets;
  const [open, setOpen] = React.useState(false);
  const count = choice.ticked.length;
  const where = picker.chosen || trans.__('This machine');
  return (
    <Form
      className="gol-Form gol-Restart"
      busy={picker.busy}
      onSubmit={props.onAccept}
    >
      <Callout
        tone="warning"
        title={choice.end.why || trans.__('The reason is not known.')}
      >
        {lossWords(choice.end.why, trans)}
      </Callout>
      <details
        className="gol-Form-more"
        open={open}
        onToggle={event => setOpen(event.currentTarget.open)}
      >
        <summary>
          {!targets
            ? trans.__('Where: loading…')
            : picker.isThere
              ? trans.__('Where: %1, as before', where)
              : trans.__('Where: %1', where)}
        </summary>
        <PlaceFields
          picker={picker}
          title={trans.__('Where should this notebook run?')}
          trans={trans}
        />
      </details>
      <CellFields choice={choice} trans={trans} />
      <FormError
        error={picker.error ?? picker.targets.list.error}
        hint={keptWords(picker.error, '', trans)}
      />
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={trans.__('Cancel')}
          onClick={props.onCancel}
        />
        <DialogButton
          kind="accept"
          label={
            picker.busy
              ? trans.__('Connecting…')
              : count > 0
                ? trans._n(
                    'Restart and run %1 cell',
                    'Restart and run %1 cells',
                    count
                  )
                : trans.__('Restart')
          }
          disabled={
            !targets || picker.busy || picker.resources?.valid === false
          }
        />
      </DialogButtons>
    </Form>
  );
}

function CellFields(props: {
  choice: RestartChoice;
  trans: TranslationBundle;
}): React.ReactElement {
  const { choice, trans } = props;
  const { cells } = choice;
  const { busy } = choice.picker;
  if (cells.length === 0) {
    return (
      <p className="gol-Note">
        {trans.__('No cell of this notebook ran in this kernel.')}
      </p>
    );
  }
  return (
    <fieldset className="gol-Rerun" disabled={busy}>
      <legend>{trans.__('Run these cells again')}</legend>
      <div className="gol-Rerun-head">
        <p className="gol-Note">
          {trans.__('They run in this order and stop at the first error.')}
        </p>
        <ActionButton
          label={trans.__('All')}
          caption={trans.__('Run all of these cells again')}
          disabled={busy}
          onClick={() => choice.tick(cells, true)}
        />
        <ActionButton
          label={trans.__('None')}
          caption={trans.__('Run none of these cells again')}
          disabled={busy}
          onClick={() => choice.tick(cells, false)}
        />
      </div>
      <div className="gol-Rerun-cells">
        {cells.map(each => (
          <label key={each.cell.model.id} className="gol-Rerun-cell">
            <input
              type="checkbox"
              checked={choice.isTicked(each)}
              onChange={event => choice.tick([each], event.target.checked)}
            />
            <span className="gol-Rerun-count">
              {each.count === null ? '' : `[${each.count}]`}
            </span>
            <code title={each.line}>{each.line}</code>
            <span className="gol-Rerun-outcome">
              {outcomeWords(each, trans)}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** How the last run of a cell went; empty where only its success is known. */
function outcomeWords(
  { outcome, seconds }: ICellToRerun,
  trans: TranslationBundle
): string {
  switch (outcome) {
    case 'failed':
      return trans.__('failed');
    case 'interrupted':
      return trans.__('ran when the kernel ended');
    case 'refused':
      return trans.__('not run');
    default:
      return seconds === null ? '' : formatDuration(seconds);
  }
}
