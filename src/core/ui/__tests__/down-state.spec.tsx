import { nullTranslator } from '@jupyterlab/translation';
import { render, screen } from '@testing-library/react';
import * as React from 'react';

import { ApiError } from '../../errors';
import { DownState } from '../states';

const trans = nullTranslator.load('genops_lab');

it('a message that repeats the title is left out where the reason is known', () => {
  const message =
    'The runs could not be listed: the MLflow server at m:5000 does not answer.';
  const reason = 'The MLflow server at m:5000 does not answer.';
  const shown = (details: Record<string, unknown>) => (
    <DownState
      what="The runs cannot be read."
      error={
        new ApiError({ status: 503, code: 'unavailable', message, details })
      }
      onRetry={jest.fn()}
      trans={trans}
    />
  );
  const { rerender } = render(shown({ reason }));
  expect(screen.getByText(reason)).toBeTruthy();
  expect(screen.queryByText(message)).toBeNull();
  rerender(shown({}));
  expect(screen.getByText(message)).toBeTruthy();
});
