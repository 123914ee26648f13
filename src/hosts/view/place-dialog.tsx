import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { ModelDialog } from '../../core/ui/model-dialog';

import type { Picker } from '../picker';
import type { QuestionsModel } from '../questions';

import { QuestionForm } from './question-form';

/**
 * Ask for a place, and connect it. The dialog shows the questions of a login in
 * place of its form.
 *
 * @returns what was chosen once its place is connected, or undefined.
 */
export async function openPlaceDialog<R>(
  options: IPlaceDialogOptions<R>
): Promise<R | undefined> {
  const { model, picker, questions, trans } = options;
  const changed = new Signal<object, void>(model);
  const tell = () => changed.emit();
  model.changed.connect(tell, tell);
  questions.changed.connect(tell, tell);
  const hosted = questions.host();
  let chosen: R | undefined;
  const accept = async () => {
    if (await picker.connect()) {
      chosen = options.chosen();
      dialog.finish();
    }
  };
  const actions: IPlaceActions = {
    onAccept: () => void accept(),
    onCancel: () => dialog.finish()
  };
  const dialog = new ModelDialog({
    title: options.title,
    changed,
    render: () => (
      <PlaceView questions={questions} trans={trans}>
        {options.render(actions)}
      </PlaceView>
    ),
    onLeave: actions.onCancel,
    focus: options.focus
  });
  await dialog.launch().finally(() => {
    model.changed.disconnect(tell, tell);
    questions.changed.disconnect(tell, tell);
    hosted.dispose();
    model.dispose();
  });
  return chosen;
}

export interface IPlaceActions {
  onAccept: () => void;
  onCancel: () => void;
}

export interface IPlaceDialogOptions<R> {
  title: string;
  /** What the dialog shows; disposed with it. */
  model: { changed: ISignal<object, void>; dispose(): void };
  picker: Picker;
  questions: QuestionsModel;
  render: (actions: IPlaceActions) => React.ReactElement;
  /** The result, once the place is connected. */
  chosen: () => R;
  /** A selector of the element that gets the focus. */
  focus: string;
  trans: TranslationBundle;
}

/** The question of a login, or the form. */
function PlaceView(props: {
  questions: QuestionsModel;
  trans: TranslationBundle;
  children: React.ReactElement;
}): React.ReactElement {
  const { questions, trans } = props;
  return questions.current ? (
    <QuestionForm
      question={questions.current}
      model={questions}
      trans={trans}
      within
    />
  ) : (
    props.children
  );
}
