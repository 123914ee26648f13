import * as React from 'react';

import type { IDataTable } from '../pictures/picture';

/** The data of a picture as a table. */
export function DataTable(props: {
  table: IDataTable;
  label: string;
  onOpen: (runId: string) => void;
}): React.ReactElement {
  const { table, label, onOpen } = props;
  return (
    <div
      className="gol-Card-data"
      role="region"
      aria-label={label}
      tabIndex={0}
    >
      <table>
        <caption className="gol-VisuallyHidden">{label}</caption>
        <thead>
          <tr>
            {table.head.map(name => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map(({ runId, cells }, place) => (
            <tr key={runId ?? place}>
              {cells.map((cell, column) =>
                column > 0 ? (
                  <td key={column}>{cell}</td>
                ) : (
                  <th key={column} scope="row">
                    {runId ? (
                      <button type="button" onClick={() => onOpen(runId)}>
                        {cell}
                      </button>
                    ) : (
                      cell
                    )}
                  </th>
                )
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
