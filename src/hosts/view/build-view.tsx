import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout, Elapsed, Field, Form, FormError, LogTail } from '../../core';

import type { BuildModel } from '../build';
import type { IEnvironmentSource } from '../service';

import { DialogButton, DialogButtons } from '../../core/ui/model-dialog';

interface IProps {
  model: BuildModel;
  target: string;
  /**
   * Continue in the background: the target is kept, and a notification reports
   * the result.
   */
  onBackground: () => void;
  trans: TranslationBundle;
}

/** The choice of what to build, then the progress, then the error. */
export function BuildView(props: IProps): React.ReactElement {
  return props.model.stage === 'choosing' ? (
    <BuildForm {...props} />
  ) : (
    <BuildProgress {...props} />
  );
}

function BuildForm(props: IProps): React.ReactElement {
  const { model, target, trans } = props;
  const { sources, fields } = model;
  const group = React.useId();
  const form = React.useRef<HTMLFormElement>(null);
  const ready = sources !== undefined;
  React.useEffect(() => {
    if (ready) {
      form.current?.querySelector<HTMLInputElement>('input:checked')?.focus();
    }
  }, [ready]);
  return (
    <Form
      ref={form}
      onSubmit={() => {
        void model.build();
      }}
    >
      <fieldset className="gol-Sources">
        <legend>{trans.__('Build an environment on %1 from', target)}</legend>
        {sources?.map(source => (
          <SourceChoice
            key={source.path}
            group={group}
            title={source.file}
            detail={source.problem || sourceWords(source, trans)}
            disabled={Boolean(source.problem)}
            checked={fields.source === source.path}
            onChange={() => model.set({ source: source.path })}
          />
        ))}
        <SourceChoice
          group={group}
          title={trans.__('Only ipykernel')}
          detail={
            sources?.length === 0
              ? trans.__(
                  'The notebook’s folder has no lock or requirements file. Install what you need later with %1.',
                  '%pip'
                )
              : trans.__('Only the packages that a kernel needs.')
          }
          disabled={!ready}
          checked={ready && fields.source === ''}
          onChange={() => model.set({ source: '' })}
        />
      </fieldset>
      <label className="gol-Check">
        <input
          type="checkbox"
          checked={fields.mlflow}
          onChange={event => model.set({ mlflow: event.target.checked })}
        />
        <span>
          {trans.__('With mlflow, for your own mlflow.* calls')}
          <span className="gol-Field-help">
            {trans.__('%1 and genops.log work without it.', '%%track')}
          </span>
        </span>
      </label>
      <details className="gol-Form-more">
        <summary>{trans.__('More options')}</summary>
        <Field
          label={trans.__('Python')}
          help={trans.__(
            'A version such as 3.12, or a path on the host. Empty: the host’s own Python.'
          )}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={fields.python}
              autoComplete="off"
              spellCheck={false}
              onChange={event => model.set({ python: event.target.value })}
            />
          )}
        </Field>
        <Field
          label={trans.__('Name or folder on the host')}
          help={trans.__('Empty: a name made from its contents.')}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={fields.folder}
              autoComplete="off"
              spellCheck={false}
              onChange={event => model.set({ folder: event.target.value })}
            />
          )}
        </Field>
      </details>
      <FormError error={model.error} />
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={trans.__('Back')}
          onClick={() => model.leave()}
        />
        <DialogButton
          kind="accept"
          label={trans.__('Build')}
          caption={trans.__('Build the environment, then test the target')}
          disabled={!ready}
        />
      </DialogButtons>
    </Form>
  );
}

function SourceChoice(props: {
  group: string;
  title: string;
  detail: string;
  checked: boolean;
  disabled: boolean;
  onChange: () => void;
}): React.ReactElement {
  const { group, title, detail, checked, disabled, onChange } = props;
  return (
    <label className={`gol-Source ${disabled ? 'gol-mod-disabled' : ''}`}>
      <input
        type="radio"
        name={group}
        checked={checked}
        disabled={disabled}
        onChange={onChange}
      />
      <span className="gol-Source-text">
        <span className="gol-Source-name">{title}</span>
        <span className="gol-Field-help">{detail}</span>
      </span>
    </label>
  );
}

function sourceWords(
  { kind, path }: IEnvironmentSource,
  trans: TranslationBundle
): string {
  const folder = path.split('/').slice(-2, -1)[0] ?? '';
  switch (kind) {
    case 'uv':
    case 'pylock':
      return trans.__('The exact versions in %1.', folder);
    default:
      return trans.__('The packages in %1.', folder);
  }
}

function BuildProgress(props: IProps): React.ReactElement {
  const { model, target, trans } = props;
  const { task, lines, stage, additions } = model;
  const failed = stage === 'failed';
  const title = additions.length
    ? trans.__('Installing %1 on %2', additions.join(', '), target)
    : trans.__('Building an environment on %1', target);
  const node = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    // While the build runs no button has the focus: Enter would close or cancel
    // it.
    const selector = failed
      ? '.gol-DialogButtons button:last-of-type'
      : '.gol-LogTail';
    node.current?.querySelector<HTMLElement>(selector)?.focus();
  }, [stage]);
  return (
    <div className="gol-Form gol-Build" aria-busy={!failed} ref={node}>
      <p className="gol-Build-title">
        <strong>{title}</strong>
        {task && <Elapsed since={task.created_at} until={task.finished_at} />}
      </p>
      {!failed && (
        <>
          <progress
            className="gol-Build-bar"
            aria-label={title}
            value={task?.progress || undefined}
          />
          <p role="status" className="gol-Build-step">
            {model.isCancelling
              ? trans.__('Cancelling…')
              : task?.message || trans.__('Connecting…')}
          </p>
        </>
      )}
      <LogTail
        lines={lines ?? (failed ? [] : undefined)}
        label={trans.__('Output of the build')}
        trans={trans}
      />
      {failed && task && (
        <div role="status">
          <Callout tone="error" title={task.message}>
            {task.hint}
          </Callout>
        </div>
      )}
      <FormError error={model.error} />
      <div>
        <DialogButtons>
          {failed ? (
            <>
              <DialogButton
                kind="cancel"
                label={trans.__('Back')}
                onClick={() => model.leave()}
              />
              <DialogButton
                kind="accept"
                label={
                  additions.length ? trans.__('Try again') : trans.__('Edit')
                }
                onClick={() =>
                  void (additions.length
                    ? model.install([...additions])
                    : model.choose())
                }
              />
            </>
          ) : (
            <>
              <DialogButton
                kind="cancel"
                label={trans.__('Cancel')}
                caption={trans.__('Stop the build on the host')}
                disabled={!task || model.isCancelling}
                onClick={() => void model.cancel()}
              />
              <DialogButton
                kind="accept"
                label={trans.__('Run in background')}
                caption={trans.__(
                  'Close this dialog; a notification reports the result'
                )}
                disabled={!task || model.isCancelling}
                onClick={props.onBackground}
              />
            </>
          )}
        </DialogButtons>
      </div>
    </div>
  );
}
