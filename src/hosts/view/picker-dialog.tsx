import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  Form,
  FormError,
  keptWords,
  formatBytesOf,
  formatPercent
} from '../../core';

import { capacityWords } from '../capacity-messages';
import { inOrder } from '../model';
import type { IPlace, Picker } from '../picker';
import type { QuestionsModel } from '../questions';
import type { ITarget } from '../service';
import {
  formatPrice,
  formatRoundTrip,
  gpuSummary,
  hostNoun,
  staleWords
} from '../messages';

import { GpuBars, HostBars } from './gpu-bars';
import { LinkBadge, LinkDetail } from './link-badge';
import { DialogButton, DialogButtons } from '../../core/ui/model-dialog';
import type { IPlaceActions } from './place-dialog';
import { openPlaceDialog } from './place-dialog';
import { ResourceFields } from './resource-fields';

/**
 * Ask where a notebook is to run. Resolves to the place once it is connected,
 * or to undefined.
 */
export function openPicker(
  options: IPickerOptions
): Promise<IPlace | undefined> {
  const { picker } = options;
  return openPlaceDialog({
    ...options,
    model: picker,
    render: actions => <PickerView {...options} {...actions} />,
    chosen: () => picker.place,
    focus: 'input[type="radio"]:checked'
  });
}

export interface IPickerOptions {
  /** Disposed with the dialog. */
  picker: Picker;
  questions: QuestionsModel;
  trans: TranslationBundle;
  title: string;
  /** The label of the button. */
  action: string;
  /** Whether the choice ends the present kernel. */
  losesState: boolean;
}

/** All places as radio buttons, with their readings. */
export function PickerView(
  props: Omit<IPickerOptions, 'questions'> & IPlaceActions
): React.ReactElement {
  const { picker, trans } = props;
  return (
    <Form
      className="gol-Form gol-Picker"
      busy={picker.busy}
      onSubmit={() => {
        props.onAccept();
      }}
    >
      <PlaceFields picker={picker} title={props.title} trans={trans} />
      <FormError
        error={picker.error ?? picker.targets.list.error}
        hint={keptWords(picker.error, '', trans)}
      />
      {props.losesState && !picker.isThere && (
        <Callout
          tone="warning"
          title={trans.__('The kernel’s variables will be lost.')}
        >
          {trans.__(
            'The notebook and its outputs stay. A new kernel starts on the target that you choose.'
          )}
        </Callout>
      )}
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={trans.__('Cancel')}
          onClick={props.onCancel}
        />
        <DialogButton
          kind={props.losesState && !picker.isThere ? 'warn' : 'accept'}
          label={
            picker.busy
              ? trans.__('Connecting…')
              : picker.place.target &&
                  !picker.resources &&
                  picker.place.target.state !== 'up'
                ? trans.__('Connect and start')
                : props.action
          }
          disabled={
            picker.busy || picker.isThere || picker.resources?.valid === false
          }
        />
      </DialogButtons>
    </Form>
  );
}

/** The places to choose from, and the resources of a new host. */
export function PlaceFields(props: {
  picker: Picker;
  /** What is asked, for screen readers. */
  title: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { picker, trans } = props;
  const { targets } = picker.targets;
  const name = React.useId();
  return (
    <>
      <fieldset className="gol-Places" disabled={picker.busy}>
        <legend className="gol-VisuallyHidden">{props.title}</legend>
        <Place picker={picker} group={name} value="">
          <ThisMachine picker={picker} trans={trans} />
        </Place>
        {targets &&
          inOrder(targets).map(target => (
            <Place
              key={target.name}
              picker={picker}
              group={name}
              value={target.name}
            >
              <Offer
                target={target}
                chosen={picker.chosen === target.name}
                failed={picker.error !== undefined}
                trans={trans}
              />
            </Place>
          ))}
      </fieldset>
      {picker.resources && picker.place.target && (
        <ResourceFields
          key={picker.chosen}
          choice={picker.resources}
          noun={hostNoun(picker.place.target, trans)}
          language={picker.place.target.request_language ?? ''}
          trans={trans}
        />
      )}
      {!targets && !picker.targets.list.error && (
        <p className="gol-Note">{trans.__('Loading…')}</p>
      )}
      {targets?.length === 0 && (
        <p className="gol-Note">
          {trans.__(
            'To run notebooks on another machine, add it as a target in the section Compute.'
          )}
        </p>
      )}
      {targets && targets.length > 0 && (
        <BestFit picker={picker} trans={trans} />
      )}
    </>
  );
}

/** The required GPU memory, and the place that fits it best. */
function BestFit(props: {
  picker: Picker;
  trans: TranslationBundle;
}): React.ReactElement {
  const { picker, trans } = props;
  const [need, setNeed] = React.useState('20');
  const id = React.useId();
  const gibibytes = Number(need.replace(',', '.'));
  const valid = Number.isFinite(gibibytes) && gibibytes > 0;
  const search = () => {
    if (valid) {
      void picker.chooseFor(gibibytes);
    }
  };
  return (
    <div className="gol-BestFit">
      <label htmlFor={id}>{trans.__('Best fit for')}</label>
      <input
        id={id}
        className="gol-Field-control"
        type="text"
        inputMode="decimal"
        value={need}
        autoComplete="off"
        aria-invalid={valid ? undefined : true}
        aria-describedby={`${id}-unit`}
        onChange={event => setNeed(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            event.preventDefault();
            search();
          }
        }}
      />
      <span id={`${id}-unit`}>{trans.__('GiB of GPU memory')}</span>
      <ActionButton
        label={trans.__('Choose')}
        caption={trans.__('Choose among connected targets and clusters')}
        disabled={!valid || picker.busy || picker.isSearching}
        onClick={search}
      />
      <p className="gol-BestFit-reason" role="status">
        {picker.isSearching && trans.__('Asking the targets…')}
        {picker.fit &&
          (Object.keys(picker.place.environment).length > 0
            ? trans.__(
                '%1 The kernel will see only this GPU.',
                picker.fit.reason
              )
            : picker.fit.reason)}
      </p>
    </div>
  );
}

function Place(props: {
  picker: Picker;
  group: string;
  /** The name of the target; empty for this machine. */
  value: string;
  children: React.ReactNode;
}): React.ReactElement {
  const { picker, value } = props;
  return (
    <label className="gol-Place">
      <input
        type="radio"
        name={props.group}
        value={value}
        checked={picker.chosen === value}
        onChange={() => {
          picker.chosen = value;
        }}
      />
      <span className="gol-Place-body">{props.children}</span>
    </label>
  );
}

function ThisMachine(props: {
  picker: Picker;
  trans: TranslationBundle;
}): React.ReactElement {
  const { picker, trans } = props;
  const machine = picker.machine.reading?.machine;
  const figures = machine && [
    trans.__('CPU %1', formatPercent(machine.cpu_percent)),
    trans.__(
      'memory %1',
      formatBytesOf(machine.memory_used_bytes, machine.memory_total_bytes)
    ),
    machine.gpus.length === 0
      ? trans.__('no GPU')
      : trans._n('%1 GPU', '%1 GPUs', machine.gpus.length)
  ];
  return (
    <>
      <span className="gol-Place-head">
        <span className="gol-Place-name">{trans.__('This machine')}</span>
      </span>
      {figures && <span className="gol-Place-line">{figures.join(' · ')}</span>}
    </>
  );
}

/**
 * The readings of a target in two lines; its GPUs one by one where it is
 * chosen.
 */
function Offer(props: {
  target: ITarget;
  chosen: boolean;
  /** Whether the failure is shown elsewhere. */
  failed: boolean;
  trans: TranslationBundle;
}): React.ReactElement {
  const { target, chosen, failed: failed, trans } = props;
  const { reading } = target;
  const stale = staleWords(target, trans);
  const capacity = capacityWords(target, trans);
  const line = [
    gpuSummary(target, trans),
    stale,
    formatRoundTrip(target.state === 'up' ? target.rtt_s : null),
    target.allocates ? target.where : target.host
  ].filter(Boolean);
  return (
    <>
      <span className="gol-Place-head">
        <span className="gol-Place-name" title={target.name}>
          {target.name}
        </span>
        <LinkBadge target={target} trans={trans} />
        <span className="gol-Place-price">
          {formatPrice(target.price_per_hour, trans)}
        </span>
      </span>
      <span className="gol-Place-line">{line.join(' · ')}</span>
      {capacity && <span className="gol-Capacity-words">{capacity}</span>}
      {chosen && !failed && target.state !== 'up' && (
        <LinkDetail target={target} trans={trans} />
      )}
      {chosen && reading && (
        <span className={stale ? 'gol-Bars gol-mod-old' : 'gol-Bars'}>
          <GpuBars reading={reading} trans={trans} />
          <HostBars reading={reading} trans={trans} />
        </span>
      )}
    </>
  );
}
