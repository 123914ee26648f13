import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout, Field, Form } from '../../core';

import type { QuestionsModel } from '../questions';
import type { IQuestion } from '../service';

import { DialogButton, DialogButtons } from '../../core/ui/model-dialog';

/**
 * A question with its answer, which is sent once and then removed from the
 * page.
 */
export function QuestionForm(props: {
  question: IQuestion;
  model: QuestionsModel;
  trans: TranslationBundle;
  /** Whether the form is in another dialog, whose title has another subject. */
  within?: boolean;
}): React.ReactElement {
  const { question, model, trans } = props;
  const input = React.useRef<HTMLInputElement>(null);
  const form = React.useRef<HTMLFormElement>(null);
  // State of this form, so that it counts at once: the dialog is drawn again a
  // frame later.
  const [sending, setSending] = React.useState(false);
  const isKey = question.kind === 'host_key';
  const decides = isDecision(question);
  React.useEffect(() => {
    // Where the answer lets something in, the safe button has the focus.
    (decides
      ? form.current?.querySelector<HTMLButtonElement>('.jp-mod-reject')
      : input.current
    )?.focus();
  }, [question.id]);

  const send = () => {
    const text = decides ? ACCEPT : (input.current?.value ?? '');
    if (input.current) {
      input.current.value = '';
    }
    setSending(true);
    void model.answer(text).finally(() => setSending(false));
  };
  const words = questionWords(question, trans);
  return (
    <Form
      className="gol-Question gol-Form"
      ref={form}
      onSubmit={send}
      busy={model.busy}
      aria-label={words.title}
    >
      {isKey ? (
        <>
          {props.within && <h3>{words.title}</h3>}
          <p>{words.explanation}</p>
          <div className="gol-Question-key">
            <span>{question.key_type}</span>
            <code>{question.fingerprint}</code>
          </div>
        </>
      ) : decides ? (
        <>
          {props.within && <h3>{words.title}</h3>}
          <p>{words.explanation}</p>
          <pre className="gol-Question-files" tabIndex={0}>
            {question.text}
          </pre>
        </>
      ) : (
        <Field label={question.text || words.title} help={words.explanation}>
          {control => (
            <input
              {...control}
              ref={input}
              type={question.echo ? 'text' : 'password'}
              readOnly={sending}
              autoComplete="off"
              spellCheck={false}
            />
          )}
        </Field>
      )}
      <div role="alert">
        {model.error && (
          <Callout tone="error" title={model.error.message}>
            {model.error.hint}
          </Callout>
        )}
      </div>
      {model.behind > 0 && (
        <p className="gol-Note">
          {trans._n(
            '%1 more question waits.',
            '%1 more questions wait.',
            model.behind
          )}
        </p>
      )}
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={words.refuse}
          caption={words.refusing}
          disabled={model.busy}
          onClick={() => void model.answer(null)}
        />
        <DialogButton
          kind={isKey ? 'warn' : 'accept'}
          label={words.accept}
          disabled={model.busy}
        />
      </DialogButtons>
    </Form>
  );
}

/** The only answer that accepts: a host's key, a folder's files. */
const ACCEPT = 'yes';

/** Whether a question is answered by yes or no. */
export function isDecision({ kind }: Pick<IQuestion, 'kind'>): boolean {
  return ['host_key', 'folder_size', 'folder_pull', 'evaluation'].includes(
    kind
  );
}

interface IQuestionWords {
  title: string;
  explanation: string;
  accept: string;
  refuse: string;
  refusing: string;
}

/** The title, explanation and buttons of a question. */
export function questionWords(
  question: IQuestion,
  trans: TranslationBundle
): IQuestionWords {
  const login = {
    accept: trans.__('Answer'),
    refuse: trans.__('Cancel'),
    refusing: trans.__('Refuse, and stop connecting to %1', question.target)
  };
  switch (question.kind) {
    case 'host_key':
      return {
        ...login,
        accept: trans.__('Trust this key'),
        refuse: trans.__('Do not connect'),
        title: trans.__('Do you trust the host %1?', question.target),
        explanation: trans.__(
          'This Lab has never connected to this host. Trust its key only if its administrator, or a machine that you trust, shows the same fingerprint.'
        )
      };
    case 'folder_size':
      return {
        title: trans.__('Send this folder to %1?', question.target),
        explanation: trans.__(
          'Later starts send only changed files. List files to leave out in .genopsignore in the folder.'
        ),
        accept: trans.__('Send'),
        refuse: trans.__('Start without files'),
        refusing: trans.__('Start the kernel in an empty folder')
      };
    case 'folder_pull':
      return {
        title: trans.__(
          'Let a kernel on %1 write to this machine?',
          question.target
        ),
        explanation: trans.__(
          'Agree only if you requested it. A file that you changed yourself is not overwritten without a copy of your version.'
        ),
        accept: trans.__('Pull files'),
        refuse: trans.__('Refuse'),
        refusing: trans.__('No file is pulled')
      };
    case 'evaluation':
      return {
        title: trans.__('Let a kernel on %1 evaluate?', question.target),
        explanation: trans.__(
          'Agree only if you requested it: these calls cost your tokens.'
        ),
        accept: trans.__('Evaluate'),
        refuse: trans.__('Refuse'),
        refusing: trans.__('Nothing is asked')
      };
    case 'passphrase':
      return {
        ...login,
        title: trans.__('Passphrase of a key for %1', question.target),
        explanation: trans.__(
          'It unlocks your key for this connection. It is never written to disk.'
        )
      };
    case 'password':
      return {
        ...login,
        title: trans.__('Password for %1', question.target),
        explanation: trans.__(
          'It is sent to the host over the encrypted connection. It is never written to disk.'
        )
      };
    default:
      return {
        ...login,
        title: trans.__('%1 asks', question.target),
        explanation: trans.__('The host asks this during the login.')
      };
  }
}
