import * as React from 'react';

/** Several of some values, in their order. */
export function Choices(props: {
  label: string;
  options: readonly (readonly [value: string, label: string])[];
  chosen: readonly string[];
  onChoose: (chosen: readonly string[]) => void;
}): React.ReactElement {
  const { label, options, chosen, onChoose } = props;
  return (
    <fieldset className="gol-Trial-choices">
      <legend className="gol-Field-label">{label}</legend>
      {options.map(([value, shown]) => (
        <label key={value}>
          <input
            type="checkbox"
            checked={chosen.includes(value)}
            onChange={({ target }) =>
              onChoose(
                options
                  .map(([each]) => each)
                  .filter(each =>
                    each === value ? target.checked : chosen.includes(each)
                  )
              )
            }
          />
          {shown}
        </label>
      ))}
    </fieldset>
  );
}
