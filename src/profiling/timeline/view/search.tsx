import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretUpIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../../../core';
import type { TimelineModel } from '../model';

/** The box that finds slices by their names. */
export function TimelineSearch(props: {
  model: TimelineModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { found, error } = model.search;
  const [text, setText] = React.useState(model.search.text);
  const [regex, setRegex] = React.useState(model.search.regex);
  const find = (backwards: boolean) => void model.find(text, regex, backwards);
  return (
    <div className="gol-Timeline-search" role="search">
      <input
        type="search"
        className="jp-mod-styled"
        value={text}
        maxLength={1000}
        aria-label={trans.__('Find slices by name')}
        aria-invalid={error !== ''}
        placeholder={trans.__('Find slices by name')}
        onChange={event => {
          setText(event.target.value);
          if (!event.target.value) {
            void model.find('', regex);
          }
        }}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            event.preventDefault();
            find(event.shiftKey);
          }
        }}
      />
      <label>
        <input
          type="checkbox"
          checked={regex}
          onChange={event => setRegex(event.target.checked)}
        />
        {trans.__('Regular expression')}
      </label>
      <IconButton
        icon={caretUpIcon}
        label={trans.__('Previous match')}
        disabled={!text}
        onClick={() => find(true)}
      />
      <IconButton
        icon={caretDownIcon}
        label={trans.__('Next match')}
        disabled={!text}
        onClick={() => find(false)}
      />
      <span
        role="status"
        className={error ? 'gol-Timeline-fault' : 'gol-Timeline-found'}
      >
        {error ||
          (found
            ? found.count === 0
              ? trans.__('No match')
              : trans.__(
                  '%1 of %2',
                  found.place.toLocaleString(),
                  found.count.toLocaleString()
                )
            : '')}
      </span>
    </div>
  );
}
