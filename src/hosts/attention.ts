import type { TranslationBundle } from '@jupyterlab/translation';

import type { IGenOpsPanel } from '../panel/tokens';

import { noticeWords } from './notices';
import type { KernelNotices } from './notices';
import type { QuestionsModel } from './questions';
import { questionWords } from './view/question-form';

/** Show waiting questions, and kernels that stop soon or have stopped, in the strip of the panel. */
export function attendHosts(options: {
  panel: Pick<IGenOpsPanel, 'attend'>;
  questions: QuestionsModel;
  notices: KernelNotices;
  trans: TranslationBundle;
  /** Show the dialog of the oldest question. */
  onAnswer: () => void;
}): void {
  const { panel, questions, notices, trans, onAnswer } = options;
  const answer = {
    label: trans.__('Answer'),
    caption: trans.__('Show the question'),
    execute: onAnswer
  };
  const showQuestions = () => {
    panel.attend(
      'questions',
      questions.waiting.map(question => ({
        id: question.id,
        tone: 'warning',
        text: trans.__(
          '%1: %2',
          question.target,
          questionWords(question, trans).title
        ),
        since: question.asked_at,
        action: answer
      }))
    );
  };
  const showNotices = () => {
    const now = Date.now() / 1000;
    panel.attend(
      'kernels',
      notices.all.map(notice => ({
        id: `${notice.kernel_id} ${notice.kind}`,
        tone: 'warning',
        text: noticeWords(notice, now, trans),
        since: notice.kind === 'ended' ? (notice.ends_at ?? now) : now,
        action: notices.actionOf(notice),
        dismiss:
          notice.kind === 'ended' ? () => notices.drop(notice) : undefined
      }))
    );
  };
  questions.changed.connect(showQuestions);
  notices.changed.connect(showNotices);
  showQuestions();
  showNotices();
}
