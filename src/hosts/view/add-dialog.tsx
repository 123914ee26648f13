import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { ApiError, Callout, Field, FormError } from '../../core';
import type { ITaskNotifier } from '../../tasks/tokens';

import type { AddTarget, IAddFields } from '../add';
import type { QuestionsModel } from '../questions';

import { BuildView } from './build-view';
import { FolderFields } from './folder-fields';
import { DialogButton, DialogButtons, ModelDialog } from './model-dialog';
import { QuestionForm } from './question-form';
import { TestSteps, outcomeWords } from './test-steps';

/**
 * Add a target with a guided test, or test one that is there.
 *
 * @returns the name of the target that is kept, or undefined.
 */
export async function openAddDialog(
  options: IAddDialogOptions
): Promise<string | undefined> {
  const { model, questions, tasks, trans } = options;
  const changed = new Signal<AddTarget, void>(model);
  const tell = () => changed.emit();
  model.changed.connect(tell, tell);
  questions.changed.connect(tell, tell);
  const hosted = questions.host();
  let muted: IDisposable | undefined;
  let shown = '';
  const follow = () => {
    // The steps stand in the dialog: no notification need say them again.
    if (model.name !== shown) {
      shown = model.name;
      muted?.dispose();
      muted = shown ? tasks?.mute(`target:${shown}`) : undefined;
    }
  };
  model.changed.connect(follow, follow);
  follow();
  let kept: string | undefined;
  let leaving = false;
  const close = (name?: string) => {
    kept = name;
    dialog.finish();
  };
  const attempt = (work: () => Promise<void>, after: () => void = tell) => {
    if (leaving) {
      return;
    }
    leaving = true;
    work()
      .catch((reason: unknown) => {
        const error = ApiError.from(reason, trans);
        Notification.error(`${error.message} ${error.hint}`.trim());
      })
      .finally(() => {
        leaving = false;
        after();
      });
  };
  const actions: IAddActions = {
    onCancel: () => attempt(() => model.discard(), close),
    onBack: () => attempt(() => model.back()),
    onKeep: () => close(model.name)
  };
  const dialog = new ModelDialog({
    title: model.existing
      ? trans.__('Test “%1”', model.name)
      : trans.__('Add a host'),
    changed,
    render: () => (
      <AddView {...actions} model={model} questions={questions} trans={trans} />
    ),
    onLeave: () =>
      model.works || (model.existing && model.stage === 'tested')
        ? actions.onKeep()
        : actions.onCancel(),
    focus: '.gol-Field-control, button'
  });
  if (!model.existing) {
    void model.load();
  } else {
    void model.test();
  }
  await dialog.launch().finally(() => {
    model.changed.disconnect(tell, tell);
    model.changed.disconnect(follow, follow);
    // That the test ended is told a moment later.
    window.setTimeout(() => muted?.dispose(), MUTED_MS);
    questions.changed.disconnect(tell, tell);
    hosted.dispose();
    model.dispose();
  });
  return kept;
}

/** How long after the dialog its test is not told as a notification. */
const MUTED_MS = 3000;

export interface IAddDialogOptions {
  /** Disposed with the dialog. */
  model: AddTarget;
  questions: QuestionsModel;
  tasks?: ITaskNotifier;
  trans: TranslationBundle;
}

interface IAddActions {
  onCancel: () => void;
  onBack: () => void;
  onKeep: () => void;
}

/** The fields, then the steps of the test. */
export function AddView(
  props: IAddActions & {
    model: AddTarget;
    questions: QuestionsModel;
    trans: TranslationBundle;
  }
): React.ReactElement {
  const { stage, build, name } = props.model;
  if (build.stage !== 'idle' && !props.questions.current) {
    return (
      <BuildView
        model={build}
        target={name}
        onBackground={props.onKeep}
        trans={props.trans}
      />
    );
  }
  return stage === 'fields' || stage === 'adding' ? (
    <AddFields {...props} />
  ) : (
    <TestView {...props} />
  );
}

function AddFields(props: Parameters<typeof AddView>[0]): React.ReactElement {
  const { model, trans } = props;
  const { fields, stage } = model;
  const list = React.useId();
  const text = (name: 'python' | 'price' | 'name', value: string) =>
    name === 'name' ? model.setName(value) : model.set({ [name]: value });
  const input = (name: 'python' | 'price' | 'name') =>
    function InputOf(control: Field.IControl): React.ReactElement {
      return (
        <input
          {...control}
          type="text"
          inputMode={name === 'price' ? 'decimal' : undefined}
          value={fields[name]}
          autoComplete="off"
          spellCheck={false}
          onChange={event => text(name, event.target.value)}
        />
      );
    };
  return (
    <form
      className="gol-Form"
      aria-busy={stage === 'adding'}
      onSubmit={event => {
        event.preventDefault();
        void model.add();
      }}
    >
      <Field
        label={trans.__('Host')}
        help={
          fields.candidates?.length
            ? trans.__(
                'An alias of your ssh_config, or a name or address. User, port and keys come from the ssh_config.'
              )
            : trans.__('A name, an address or user@host.')
        }
      >
        {control => (
          <>
            <input
              {...control}
              type="text"
              list={list}
              value={fields.host}
              placeholder={fields.candidates?.[0]?.alias}
              autoComplete="off"
              spellCheck={false}
              onChange={event => model.setHost(event.target.value)}
            />
            <datalist id={list}>
              {fields.candidates?.map(({ alias, hostname }) => (
                <option key={alias} value={alias}>
                  {hostname}
                </option>
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field
        label={trans.__('Name')}
        error={model.nameProblem}
        help={trans.__('So the launcher and the kernel picker call it.')}
      >
        {input('name')}
      </Field>
      <Field
        label={trans.__('Python there')}
        help={trans.__(
          'The interpreter of the kernels, with ipykernel: a name or a path such as ~/venv/bin/python.'
        )}
      >
        {input('python')}
      </Field>
      <details className="gol-Form-more">
        <summary>{trans.__('More')}</summary>
        <FolderFields
          fields={fields}
          onChange={part => model.set(part)}
          trans={trans}
        />
        <Field
          label={trans.__('Price an hour in USD (optional)')}
          error={model.priceProblem}
        >
          {input('price')}
        </Field>
        <Field
          label={trans.__('Connection')}
          help={trans.__(
            "Automatic takes the system's ssh only where your ssh_config needs it."
          )}
        >
          {control => (
            <select
              {...control}
              value={fields.carrier}
              onChange={event =>
                model.set({
                  carrier: event.target.value as IAddFields['carrier']
                })
              }
            >
              <option value="auto">{trans.__('Automatic')}</option>
              <option value="paramiko">
                {trans.__('Built in (paramiko)')}
              </option>
              <option value="openssh">{trans.__("The system's ssh")}</option>
            </select>
          )}
        </Field>
      </details>
      <FormError error={model.error} />
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={trans.__('Cancel')}
          onClick={props.onCancel}
        />
        <DialogButton
          kind="accept"
          label={trans.__('Add and test')}
          caption={trans.__('Add it, then connect and see what is there')}
          disabled={!model.valid || stage === 'adding'}
        />
      </DialogButtons>
    </form>
  );
}

function TestView(props: Parameters<typeof AddView>[0]): React.ReactElement {
  const { model, questions, trans } = props;
  const { stage, outcome, existing, works } = model;
  const question = questions.current;
  const node = React.useRef<HTMLDivElement>(null);
  const isFixable = model.steps.some(({ fixes }) => fixes.includes('build'));
  React.useEffect(() => {
    // What had the focus went with the fields, or with a question.
    if (!question) {
      const found =
        node.current?.querySelector<HTMLElement>(
          '.gol-Step-fixes .gol-mod-primary'
        ) ??
        node.current?.querySelector<HTMLElement>(
          '.gol-DialogButtons button:last-of-type'
        );
      found?.focus();
    }
  }, [stage, question?.id, isFixable]);
  return (
    <div className="gol-Form" ref={node}>
      <TestSteps model={model} asks={question?.kind} trans={trans} />
      {question ? (
        <QuestionForm
          question={question}
          model={questions}
          trans={trans}
          within
        />
      ) : (
        <>
          <div role="status">
            {outcome && <Callout {...outcomeWords(model, trans)} />}
          </div>
          <FormError error={model.error ?? model.build.error} />
          <div>
            <DialogButtons>
              {existing ? (
                <>
                  {stage === 'tested' && (
                    <DialogButton
                      kind="cancel"
                      label={trans.__('Test again')}
                      onClick={() => void model.test()}
                    />
                  )}
                  <DialogButton
                    kind={stage === 'tested' ? 'accept' : 'cancel'}
                    label={
                      stage === 'tested'
                        ? trans.__('Close')
                        : trans.__('Cancel')
                    }
                    onClick={stage === 'tested' ? props.onKeep : props.onCancel}
                  />
                </>
              ) : works ? (
                <DialogButton
                  kind="accept"
                  label={trans.__('Done')}
                  onClick={props.onKeep}
                />
              ) : (
                <>
                  <DialogButton
                    kind="cancel"
                    label={trans.__('Cancel')}
                    caption={trans.__('Leave, without adding it')}
                    onClick={props.onCancel}
                  />
                  <DialogButton
                    kind="cancel"
                    label={trans.__('Add anyway')}
                    caption={trans.__(
                      'Keep it as it is; it can be tested later'
                    )}
                    onClick={props.onKeep}
                  />
                  {stage === 'tested' && (
                    <DialogButton
                      kind={isFixable ? 'cancel' : 'accept'}
                      label={trans.__('Change it')}
                      caption={trans.__('Back to the fields')}
                      onClick={props.onBack}
                    />
                  )}
                </>
              )}
            </DialogButtons>
          </div>
        </>
      )}
    </div>
  );
}
