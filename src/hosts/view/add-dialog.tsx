import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import {
  ApiError,
  Callout,
  Field,
  Form,
  FormError,
  keptWords,
  useLasting
} from '../../core';
import type { ITaskNotifier } from '../../tasks/tokens';

import type { AddTarget } from '../add';
import { administeredWords, declaredWords } from '../messages';
import type { QuestionsModel } from '../questions';
import type { IFormField } from '../service';

import { BuildView } from './build-view';
import { FolderFields } from './folder-fields';
import {
  DialogButton,
  DialogButtons,
  ModelDialog
} from '../../core/ui/model-dialog';
import { QuestionForm } from './question-form';
import { TestSteps, outcomeWords } from './test-steps';

/** Time without a change, in ms, after which a field says what is wrong with it. */
const PAUSE_MS = 500;

/**
 * Add a target with a test, or test an existing one.
 *
 * @returns the name of the kept target, or undefined.
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
    // The dialog shows the steps: no notification repeats them.
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
      : trans.__('Add a target'),
    changed,
    render: () => (
      <AddView {...actions} model={model} questions={questions} trans={trans} />
    ),
    onLeave: () =>
      model.works || (model.existing && model.stage === 'tested')
        ? actions.onKeep()
        : actions.onCancel(),
    // The first text field: the kind may appear later, above it.
    focus: 'input.gol-Field-control, button'
  });
  if (!model.existing) {
    void model.load();
  } else {
    void model.test();
  }
  await dialog.launch().finally(() => {
    model.changed.disconnect(tell, tell);
    model.changed.disconnect(follow, follow);
    // The event of the test's end comes a moment later.
    window.setTimeout(() => muted?.dispose(), MUTED_MS);
    questions.changed.disconnect(tell, tell);
    hosted.dispose();
    model.dispose();
  });
  return kept;
}

/** Milliseconds after the dialog in which its test causes no notification. */
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
  const { fields, stage, kind } = model;
  const nameProblem = useSettled(model.nameProblem);
  const priceProblem = useSettled(model.priceProblem);
  const text = (name: 'price' | 'name', value: string) =>
    name === 'name' ? model.setName(value) : model.set({ [name]: value });
  const input = (name: 'price' | 'name') =>
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
  const [first, ...others] = kind.fields.filter(({ advanced }) => !advanced);
  const shown = (field: IFormField) => (
    <KindField key={field.name} field={field} model={model} trans={trans} />
  );
  return (
    <Form
      busy={stage === 'adding'}
      onSubmit={() => {
        void model.add();
      }}
    >
      {fields.kinds.length > 1 && (
        <Field label={trans.__('Kind')}>
          {control => (
            <select
              {...control}
              value={kind.kind}
              onChange={event => model.setKind(event.target.value)}
            >
              {fields.kinds.map(each => (
                <option key={each.kind} value={each.kind}>
                  {declaredWords(each.label, trans)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {first && shown(first)}
      <Field
        label={trans.__('Name')}
        error={nameProblem}
        help={trans.__('Shown in the launcher and the kernel picker.')}
      >
        {input('name')}
      </Field>
      {others.map(shown)}
      <details className="gol-Form-more">
        <summary>{trans.__('More')}</summary>
        <FolderFields
          fields={fields}
          onChange={part => model.set(part)}
          trans={trans}
        />
        <Field
          label={trans.__('Price an hour in USD (optional)')}
          error={priceProblem}
        >
          {input('price')}
        </Field>
        {kind.fields.filter(({ advanced }) => advanced).map(shown)}
      </details>
      <FormError
        error={model.error}
        hint={keptWords(
          model.error,
          model.valid ? trans.__('Add and test') : '',
          trans
        )}
      />
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={trans.__('Cancel')}
          onClick={props.onCancel}
        />
        <DialogButton
          kind="accept"
          label={trans.__('Add and test')}
          caption={trans.__('Add the target, then connect and test it')}
          disabled={!model.valid || stage === 'adding'}
        />
      </DialogButtons>
    </Form>
  );
}

/** A problem that has stood for a moment: what is half typed is not yet wrong. */
function useSettled(problem: string): string {
  return useLasting(problem !== '', PAUSE_MS) ? problem : '';
}

/** A field of the form that a kind of target declares. */
function KindField(props: {
  field: IFormField;
  model: AddTarget;
  trans: TranslationBundle;
}): React.ReactElement {
  const { field, model, trans } = props;
  const { candidates } = model.fields;
  const list = React.useId();
  const problem = useSettled(model.problem(field));
  const isHost = field.name === 'host';
  const value = model.value(field);
  const change = (typed: string | boolean) =>
    isHost ? model.setHost(String(typed)) : model.setField(field.name, typed);
  if (field.widget === 'switch') {
    return (
      <label className="gol-Tick">
        <input
          type="checkbox"
          checked={value === true}
          disabled={field.locked}
          onChange={event => change(event.target.checked)}
        />
        {declaredWords(field.label, trans)}
        <small>{administeredWords(field, trans)}</small>
      </label>
    );
  }
  const own =
    isHost && candidates && !candidates.length
      ? trans.__('A name, an address or user@host.')
      : declaredWords(field.help, trans);
  const help = [own, administeredWords(field, trans)].filter(Boolean).join(' ');
  return (
    <Field
      label={declaredWords(field.label, trans)}
      help={help}
      error={problem}
    >
      {control =>
        field.widget === 'choice' ? (
          <select
            {...control}
            value={String(value)}
            disabled={field.locked}
            onChange={event => change(event.target.value)}
          >
            {field.choices.map(choice => (
              <option key={choice} value={choice}>
                {declaredWords(field.choice_labels[choice] ?? choice, trans)}
              </option>
            ))}
          </select>
        ) : (
          <>
            <input
              {...control}
              type="text"
              inputMode={field.widget === 'number' ? 'decimal' : undefined}
              list={isHost ? list : undefined}
              value={String(value)}
              disabled={field.locked}
              placeholder={isHost ? candidates?.[0]?.alias : undefined}
              autoComplete="off"
              spellCheck={false}
              onChange={event => change(event.target.value)}
            />
            {isHost && (
              <datalist id={list}>
                {candidates?.map(({ alias, hostname }) => (
                  <option key={alias} value={alias}>
                    {hostname}
                  </option>
                ))}
              </datalist>
            )}
          </>
        )
      }
    </Field>
  );
}

function TestView(props: Parameters<typeof AddView>[0]): React.ReactElement {
  const { model, questions, trans } = props;
  const { stage, outcome, existing, works } = model;
  const question = questions.current;
  const node = React.useRef<HTMLDivElement>(null);
  const isFixable = model.steps.some(({ fixes }) => fixes.includes('build'));
  React.useEffect(() => {
    // The focused element disappeared with the fields, or with a question.
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
                    caption={trans.__('Close without adding the target')}
                    onClick={props.onCancel}
                  />
                  <DialogButton
                    kind="cancel"
                    label={trans.__('Add anyway')}
                    caption={trans.__('Keep the target; you can test it later')}
                    onClick={props.onKeep}
                  />
                  {stage === 'tested' && (
                    <DialogButton
                      kind={isFixable ? 'cancel' : 'accept'}
                      label={trans.__('Edit')}
                      caption={trans.__('Back to the form')}
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
