import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGenAIPage } from './pages';

import '../../style/genai/section.css';

/** The section "Generative AI": a line for each page. */
export function GenAISection(props: {
  pages: readonly IGenAIPage[];
  onOpen: (command: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  return (
    <ul
      className="gol-GenAI"
      aria-label={props.trans.__('Pages of generative AI')}
    >
      {props.pages.map(({ command, title, caption }) => (
        <li key={command}>
          <button
            type="button"
            className="gol-GenAI-page"
            onClick={() => props.onOpen(command)}
          >
            <span className="gol-GenAI-title">{title}</span>
            <span className="gol-GenAI-caption">{caption}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
