import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Form } from '../../../core/ui/form';

/** Finds text, and goes to a line. */
export function SearchBar(props: SearchBar.IProps): React.ReactElement {
  const { trans, onFind, onLine } = props;
  const [text, setText] = React.useState('');
  const [line, setLine] = React.useState('');
  const [missing, setMissing] = React.useState(false);
  const [busy, setBusy] = React.useState(false);
  return (
    <>
      <Form
        className=""
        role="search"
        onSubmit={() => {
          if (text && !busy) {
            setBusy(true);
            void onFind(text).then(found => {
              setMissing(!found);
              setBusy(false);
            });
          }
        }}
      >
        <input
          className="jp-mod-styled"
          type="search"
          value={text}
          aria-label={trans.__('Find in the output')}
          placeholder={trans.__('Find')}
          onChange={event => {
            setText(event.target.value);
            setMissing(false);
          }}
        />
        <button
          type="submit"
          className="gol-Button jp-mod-styled jp-mod-minimal"
          disabled={!text || busy}
        >
          {busy ? trans.__('Searching…') : trans.__('Next')}
        </button>
        <span className="gol-FullOutput-missing" role="status">
          {missing ? trans.__('Not found') : ''}
        </span>
      </Form>
      <Form
        className=""
        onSubmit={() => {
          const number = parseInt(line, 10);
          if (number > 0) {
            onLine(number);
          }
        }}
      >
        <input
          className="jp-mod-styled gol-FullOutput-goto"
          type="text"
          inputMode="numeric"
          value={line}
          aria-label={trans.__('Go to line')}
          placeholder={trans.__('Line')}
          onChange={event => setLine(event.target.value.replace(/\D/g, ''))}
        />
      </Form>
    </>
  );
}

export namespace SearchBar {
  export interface IProps {
    trans: TranslationBundle;
    /** Resolves to whether the text was found. */
    onFind: (text: string) => Promise<boolean>;
    /** The first line is 1. */
    onLine: (line: number) => void;
  }
}
