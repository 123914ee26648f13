import { nullTranslator } from '@jupyterlab/translation';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { Resource } from '../resource';
import { ResourceView } from '../ui/resource-view';

const trans = nullTranslator.load('genops_lab');

/** Says how often it was made. */
function Child(props: { made: () => void }): React.ReactElement {
  React.useEffect(() => props.made(), []);
  return <p>child</p>;
}

describe('a view of a resource that goes down', () => {
  afterEach(cleanup);

  it.each([
    [true, 1],
    [false, 2]
  ])('keeps what is drawn where that is wanted (%s)', async (kept, times) => {
    let isDown = false;
    const resource = new Resource<string>({
      fetch: () =>
        isDown ? Promise.reject(new Error('away')) : Promise.resolve('there'),
      trans
    });
    const made = jest.fn();
    render(
      <ResourceView
        resource={resource}
        trans={trans}
        down="It cannot be read."
        empty={null}
        keepMounted={kept}
      >
        {() => <Child made={made} />}
      </ResourceView>
    );
    await act(async () => {
      resource.visible = true;
      await resource.refresh();
    });
    isDown = true;
    await act(() => resource.refresh());
    expect(screen.getByText('It cannot be read.')).toBeTruthy();
    expect(screen.queryByText('child') !== null).toBe(kept);
    isDown = false;
    await act(() => resource.refresh());
    expect(screen.queryByText('It cannot be read.')).toBeNull();
    expect(screen.getByText('child')).toBeTruthy();
    expect(made).toHaveBeenCalledTimes(times);
    resource.dispose();
  });

  it('says what is slow after 5 s, before and after the first answer', async () => {
    jest.useFakeTimers();
    let answer: (value: string) => void = () => undefined;
    const fetch = () => new Promise<string>(resolve => (answer = resolve));
    const resource = new Resource<string>({ fetch, trans });
    render(
      <ResourceView
        resource={resource}
        trans={trans}
        down="It cannot be read."
        late="MLflow is slow."
        empty={null}
      >
        {() => <p>child</p>}
      </ResourceView>
    );
    const slow = () => screen.queryByText('MLflow is slow.');
    for (const shown of [false, true]) {
      await act(async () => void resource.refresh());
      await act(async () => jest.advanceTimersByTime(4900));
      expect(slow()).toBeNull();
      await act(async () => jest.advanceTimersByTime(200));
      expect(slow()?.closest('[role="status"]')).toBeTruthy();
      expect(screen.queryByText('child') !== null).toBe(shown);
      await act(async () => answer('there'));
      expect(slow()).toBeNull();
    }
    resource.dispose();
    jest.useRealTimers();
  });

  it('keeps its button within reach of the keyboard while it tries again', async () => {
    let answer: (value: string) => void = () => undefined;
    const fetch = jest
      .fn<Promise<string>, []>()
      .mockRejectedValueOnce(new Error('away'))
      .mockReturnValueOnce(new Promise(resolve => (answer = resolve)));
    const resource = new Resource<string>({ fetch, trans });
    render(
      <ResourceView
        resource={resource}
        trans={trans}
        down="It cannot be read."
        empty={null}
      >
        {() => <p>child</p>}
      </ResourceView>
    );
    await act(() => resource.refresh());
    const button = screen.getByRole<HTMLButtonElement>('button');
    button.focus();
    fireEvent.click(button);
    expect(button.textContent).toBe('Trying…');
    expect(button.disabled).toBe(false);
    expect(button.getAttribute('aria-disabled')).toBe('true');
    expect(document.activeElement).toBe(button);
    fireEvent.click(button);
    expect(fetch).toHaveBeenCalledTimes(2);
    await act(async () => answer('there'));
    expect(screen.getByText('child')).toBeTruthy();
    resource.dispose();
  });
});
