import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { QuestionsModel } from '../questions';

import { ModelDialog } from '../../core/ui/model-dialog';
import { QuestionForm, isDecision, questionWords } from './question-form';

/**
 * Opens a dialog for each question that no open dialog shows, and closes it
 * when the question is no longer open.
 */
export class QuestionDialogs implements IDisposable {
  constructor(
    private _model: QuestionsModel,
    private _trans: TranslationBundle
  ) {
    _model.changed.connect(this._sync, this);
    this._sync();
  }

  /** Give the dialog of the current question the keyboard. */
  show(): void {
    this._dialog?.activate();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._close();
      Signal.clearData(this);
    }
  }

  private _sync(): void {
    const question = this._model.isHosted ? undefined : this._model.current;
    if (question?.id === this._shown) {
      return;
    }
    this._close();
    if (!question) {
      return;
    }
    this._shown = question.id;
    const dialog = new ModelDialog({
      title: questionWords(question, this._trans).title,
      changed: this._model.changed,
      render: () => (
        <QuestionForm
          question={question}
          model={this._model}
          trans={this._trans}
        />
      ),
      onLeave: () => void this._model.answer(null),
      focus: isDecision(question) ? '.jp-mod-reject' : 'input'
    });
    this._dialog = dialog;
    void dialog.launch();
  }

  private _close(): void {
    this._shown = undefined;
    this._dialog?.finish();
    this._dialog = null;
  }

  private _dialog: ModelDialog | null = null;
  private _shown: string | undefined;
  private _isDisposed = false;
}
