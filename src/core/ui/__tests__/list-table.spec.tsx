import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { ListTable } from '../list-table';
import type { DataTable } from '../table';

const trans = nullTranslator.load('genops_lab');

interface IRow {
  name: string;
  loss: number | null;
}

describe('the table of a page', () => {
  const onOpen = jest.fn();
  const onStop = jest.fn();
  const columns: DataTable.IColumn<IRow>[] = [
    {
      id: 'name',
      title: 'Name',
      isHead: true,
      cell: ({ name }) => name,
      value: ({ name }) => name
    },
    {
      id: 'loss',
      title: 'Loss',
      numeric: true,
      cell: ({ loss }) => loss ?? '–',
      value: ({ loss }) => loss
    },
    {
      id: 'actions',
      title: 'Actions',
      cell: (row, tabIndex) => (
        <button tabIndex={tabIndex} onClick={() => onStop(row.name)}>
          {`Stop ${row.name}`}
        </button>
      )
    }
  ];

  function show(rows: readonly IRow[]): void {
    render(
      <ListTable
        caption="Sweeps"
        columns={columns}
        rows={rows}
        rowKey={({ name }) => name}
        onOpen={onOpen}
        sort={{ column: 'loss', descending: true }}
        count={count => `${count} sweeps`}
        trans={trans}
      />
    );
  }

  const names = () =>
    Array.from(document.querySelectorAll('tbody th'), each => each.textContent);
  const sortOf = (name: string) =>
    screen.getByRole('columnheader', { name }).getAttribute('aria-sort');

  const three = [
    { name: 'cnn 2', loss: 0.1 },
    { name: 'cnn 10', loss: null },
    { name: 'mlp', loss: 0.5 }
  ];

  afterEach(() => {
    cleanup();
    jest.clearAllMocks();
  });

  it('sorts by a column, in both directions, and unknown values come last', () => {
    show(three);
    expect(names()).toEqual(['mlp', 'cnn 2', 'cnn 10']);
    fireEvent.click(screen.getByRole('button', { name: /^Loss/ }));
    expect(names()).toEqual(['cnn 2', 'mlp', 'cnn 10']);
    expect(sortOf('Loss')).toBe('ascending');
    fireEvent.click(screen.getByRole('button', { name: 'Name' }));
    expect(names()).toEqual(['cnn 2', 'cnn 10', 'mlp']);
    expect(sortOf('Name')).toBe('ascending');
    expect(sortOf('Actions')).toBeNull();
  });

  it('keeps the rows that have all words of the filter', () => {
    show(three);
    const filter = screen.getByRole('searchbox', { name: 'Filter' });
    fireEvent.change(filter, { target: { value: '10 CNN' } });
    expect(names()).toEqual(['cnn 10']);
    expect(screen.getByRole('status').textContent).toBe('1 of 3 sweeps');
    fireEvent.change(filter, { target: { value: 'bert' } });
    expect(screen.getByText('No rows match.')).toBeTruthy();
  });

  it('opens a row by a click and by Enter, but not with a button in it', () => {
    show(three);
    fireEvent.click(screen.getByRole('button', { name: 'Stop mlp' }));
    expect(onStop).toHaveBeenCalledWith('mlp');
    expect(onOpen).not.toHaveBeenCalled();
    fireEvent.click(screen.getByText('0.1'));
    expect(onOpen).toHaveBeenLastCalledWith(three[0]);
    const rows = screen.getAllByRole('row').slice(1);
    fireEvent.keyDown(rows[0], { key: 'End' });
    expect(document.activeElement).toBe(rows[2]);
    fireEvent.keyDown(rows[2], { key: 'Enter' });
    expect(onOpen).toHaveBeenLastCalledWith(three[1]);
    // Tab reaches the buttons of this row alone.
    const stops = screen
      .getAllByRole('button', { name: /^Stop/ })
      .filter(each => each.tabIndex === 0);
    expect(stops.map(each => each.textContent)).toEqual(['Stop cnn 10']);
  });

  it('draws a long list in parts, and filters all of it', () => {
    show(
      Array.from({ length: 250 }, (_, at) => ({ name: `run ${at}`, loss: at }))
    );
    expect(names()).toHaveLength(100);
    expect(names()[0]).toBe('run 249');
    fireEvent.click(screen.getByRole('button', { name: 'Show more' }));
    expect(names()).toHaveLength(200);
    fireEvent.change(screen.getByRole('searchbox'), {
      target: { value: 'run 24' }
    });
    expect(names()).toContain('run 24'); // it was not drawn before
    expect(names()).toHaveLength(13);
  });
});
