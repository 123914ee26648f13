import * as React from 'react';

/** A choice of values with its label. */
export function Select(props: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, label: string])[];
  onChange: (value: string) => void;
  /** Values that cannot be chosen, below a head that says so. */
  refused?: {
    label: string;
    options: readonly (readonly [value: string, label: string])[];
  };
}): React.ReactElement {
  const { label, value, options, onChange, refused } = props;
  return (
    <label className="gol-Examples-select">
      {label}
      <select
        className="jp-mod-styled"
        value={value}
        onChange={({ target }) => onChange(target.value)}
      >
        {options.map(([each, shown]) => (
          <option key={each} value={each}>
            {shown}
          </option>
        ))}
        {refused && refused.options.length > 0 && (
          <optgroup label={refused.label}>
            {refused.options.map(([each, shown]) => (
              <option key={each} value={each} disabled>
                {shown}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </label>
  );
}
