import { act, cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import { useLasting } from '../ui/hooks';

function Shown(props: { lasts: boolean }): React.ReactElement {
  return <p>{useLasting(props.lasts, 200) ? 'long' : 'short'}</p>;
}

describe('what lasts', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });

  afterEach(() => {
    cleanup();
    jest.useRealTimers();
  });

  const pass = (ms: number) => act(() => jest.advanceTimersByTimeAsync(ms));

  it('is long after its time, and no longer when it is over', async () => {
    const { rerender } = render(<Shown lasts={true} />);
    await pass(199);
    expect(screen.queryByText('short')).not.toBeNull();
    await pass(1);
    expect(screen.queryByText('long')).not.toBeNull();
    rerender(<Shown lasts={false} />);
    expect(screen.queryByText('short')).not.toBeNull();
  });

  it('begins anew each time', async () => {
    const { rerender } = render(<Shown lasts={true} />);
    await pass(150);
    rerender(<Shown lasts={false} />);
    await pass(10);
    rerender(<Shown lasts={true} />);
    await pass(150);
    expect(screen.queryByText('short')).not.toBeNull();
    await pass(50);
    expect(screen.queryByText('long')).not.toBeNull();
  });
});
