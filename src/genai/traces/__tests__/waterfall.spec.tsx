import { nullTranslator } from '@jupyterlab/translation';
import { fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import type { ISpan } from '../service';
import { Waterfall } from '../view/waterfall';

const trans = nullTranslator.load('genops_lab');

/** jsdom has no layout: nothing changes its size. */
class NoLayout {
  observe(): void {
    return;
  }
  disconnect(): void {
    return;
  }
}

beforeAll(() => {
  Object.assign(window, { ResizeObserver: NoLayout });
});

/** A root and its children, each a second long. */
function spans(children: number): ISpan[] {
  return Array.from(
    { length: children + 1 },
    (_, at) =>
      ({
        span_id: String(at),
        depth: at === 0 ? 0 : 1,
        name: `span ${at}`,
        kind: 'TOOL',
        status: 'ok',
        start: at === 0 ? 0 : at - 1,
        duration: at === 0 ? children : 1
      }) as ISpan
  );
}

function Chosen(props: { all: ISpan[] }): React.ReactElement {
  const [selected, setSelected] = React.useState<string | null>('0');
  return (
    <Waterfall
      spans={props.all}
      duration={props.all.length - 1}
      selected={selected}
      onSelect={setSelected}
      trans={trans}
    />
  );
}

const tree = () => screen.getByRole('treegrid');
const chosen = () => screen.getByRole('row', { selected: true }).textContent;

it('keeps few of 10,000 spans in the page, and the chosen one among them', () => {
  render(<Chosen all={spans(10_000)} />);
  expect(screen.getAllByRole('row').length).toBeLessThan(100);
  expect(tree().getAttribute('aria-rowcount')).toBe('10001');
  fireEvent.keyDown(tree(), { key: 'End' });
  expect(chosen()).toContain('span 10000');
  expect(tree().getAttribute('aria-activedescendant')).toBe(
    screen.getByRole('row', { selected: true }).id
  );
});

it('folds a tree with the chosen span in it, and goes to its parent', () => {
  render(<Chosen all={spans(3)} />);
  fireEvent.keyDown(tree(), { key: 'ArrowDown' });
  expect(chosen()).toContain('span 1');
  fireEvent.click(screen.getByRole('button', { name: 'Close all' }));
  expect(chosen()).toContain('span 0');
  expect(screen.getAllByRole('row')).toHaveLength(1);
  fireEvent.keyDown(tree(), { key: 'ArrowRight' });
  fireEvent.keyDown(tree(), { key: 'ArrowRight' });
  expect(chosen()).toContain('span 1');
  fireEvent.keyDown(tree(), { key: 'ArrowLeft' });
  expect(chosen()).toContain('span 0');
});

it('zooms to a span and back to the whole trace', () => {
  render(<Chosen all={spans(4)} />);
  const fit = screen.getByRole('button', { name: 'Fit' });
  expect(fit).toHaveProperty('disabled', true);
  fireEvent.keyDown(tree(), { key: 'ArrowDown' });
  fireEvent.keyDown(tree(), { key: 'z' });
  expect(fit).toHaveProperty('disabled', false);
  fireEvent.keyDown(tree(), { key: '0' });
  expect(fit).toHaveProperty('disabled', true);
});
