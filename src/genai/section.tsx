import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { captions } from './loading';

import '../../style/genai/section.css';

/** The section "Generative AI": a line for each page. */
export function GenAISection(props: {
  /** The command, tab and title of each. */
  pages: [string, string, string][];
  onOpen: (command: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const captionOf = captions(props.trans);
  return (
    <ul
      className="gol-GenAI"
      aria-label={props.trans.__('Pages of generative AI')}
    >
      {props.pages.map(([command, tab, title]) => (
        <li key={tab}>
          <button
            type="button"
            className="gol-GenAI-page"
            onClick={() => props.onOpen(command)}
          >
            <span className="gol-GenAI-title">{title}</span>
            <span className="gol-GenAI-caption">{captionOf[tab]}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
