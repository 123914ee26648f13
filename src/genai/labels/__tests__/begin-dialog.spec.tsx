import { nullTranslator } from '@jupyterlab/translation';
import { fireEvent, screen, waitFor } from '@testing-library/react';

import { openBegin } from '../begin-dialog';
import type { LabelsModel } from '../model';

describe('the dialog that begins to label', () => {
  it('says at each field why it cannot be sent', async () => {
    const model = {
      trans: nullTranslator.load('genops_lab'),
      evaluations: () =>
        Promise.resolve([{ id: 'one-1', models: [], scorers: [] }])
    } as unknown as LabelsModel;
    void openBegin(model);
    await waitFor(() => screen.getByLabelText('Evaluation'));
    const begin = () =>
      document.querySelector<HTMLButtonElement>('.jp-mod-accept')!;
    await waitFor(() => expect(begin().disabled).toBe(false));
    for (const [label, bad, good, said] of [
      [/^Rows/, '0', '50', 'Enter a whole number from 1 to 5000.'],
      [/^Question/, 'Feedback', 'kind', /MLflow has a question of its own/],
      [/^Question/, 'x'.repeat(251), '', 'Use up to 250 characters.'],
      [/^Choices/, 'one', '', 'Give 2 to 9 choices, or none.'],
      [/^Choices/, 'no, yes, no', 'no, yes', 'Give each choice once.'],
      [/^Choices/, `no, ${'y'.repeat(65)}`, '', /64 characters for each/]
    ] as const) {
      fireEvent.change(screen.getByLabelText(label), {
        target: { value: bad }
      });
      const note = await waitFor(() => screen.getByText(said));
      expect(note.className).toBe('gol-Field-error');
      expect(begin().disabled).toBe(true);
      fireEvent.change(screen.getByLabelText(label), {
        target: { value: good }
      });
      await waitFor(() => expect(begin().disabled).toBe(false));
    }
  });
});
