import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Resource } from '../../core';
import { ResourceView } from '../../core';
import type { IEndpoint } from '../endpoints/service';

import type { PromptSources } from './sources';

/** What a form offers of a list of the Lab; a note stands in place of an empty list. */
export function SourceView<T>(props: {
  resource: Resource<T>;
  /** Title when the list cannot be read, as a sentence. */
  down: string;
  /** Says that the list is empty, and what to do. */
  none: string;
  children: (value: T) => React.ReactNode;
  trans: TranslationBundle;
}): React.ReactElement {
  const { resource, down, none, children, trans } = props;
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={down}
      empty={<p className="gol-Note">{none}</p>}
    >
      {children}
    </ResourceView>
  );
}

/** The models that can be asked, and notes on others. */
export function ModelsView(props: {
  sources: PromptSources;
  children: (models: readonly IEndpoint[]) => React.ReactElement;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sources, children, trans } = props;
  return (
    <SourceView
      resource={sources.endpoints}
      trans={trans}
      down={trans.__('The models cannot be listed.')}
      none={trans.__(
        'No models that answer. Add one on the page Endpoints, or deploy a language model.'
      )}
    >
      {({ endpoints, notes }) => (
        <>
          {children(endpoints)}
          {notes?.map(note => (
            <p key={note} className="gol-Note">
              {note}
            </p>
          ))}
        </>
      )}
    </SourceView>
  );
}
