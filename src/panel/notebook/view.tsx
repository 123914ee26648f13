import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import { useRevision } from '../../core/ui/hooks';
import { EmptyState } from '../../core/ui/states';
import type { IGenOpsPanel, ISection } from '../tokens';

import type { ICurrentNotebook, INotebookPart } from './tokens';

/** The notebook in front: its name, and a part for each feature that knows something of it. */
export function NotebookView(props: NotebookView.IProps): React.ReactElement {
  const { current, panel, section, trans } = props;
  useRevision(current.changed);
  useRevision(panel.sectionsChanged);
  useRevision(props.added);
  const seen = useSeenOnce(section);
  const { path } = current;
  const parts = (seen ? props.parts() : []).filter(
    ({ room, always }) => panel.offers(room ?? '') && (always || path)
  );
  return (
    <div className="gol-ThisNotebook">
      {path ? (
        <p className="gol-ThisNotebook-name" title={path}>
          {PathExt.basename(path)}
        </p>
      ) : (
        <EmptyState
          text={trans.__(
            'No notebook is open. This section follows the notebook that you work in: where its kernel runs, its latest run and its cost.'
          )}
          actions={[
            {
              label: trans.__('New notebook'),
              caption: trans.__('Open a new notebook, which starts a kernel'),
              onClick: props.onNew
            }
          ]}
        />
      )}
      {parts.map(part => (
        <Part key={part.rank} part={part} section={section} />
      ))}
    </div>
  );
}

export namespace NotebookView {
  export interface IProps {
    current: ICurrentNotebook;
    /** The parts that were added so far, by their ranks. */
    parts: () => readonly INotebookPart[];
    /** Emitted when a part is added. */
    added: ISignal<object, void>;
    panel: Pick<IGenOpsPanel, 'offers' | 'sectionsChanged'>;
    section: ISection;
    trans: TranslationBundle;
    onNew: () => void;
  }
}

/** Whether a person has seen the section: until then nothing is loaded for it. */
function useSeenOnce(section: ISection): boolean {
  const [seen, setSeen] = React.useState(section.isSeen);
  React.useEffect(() => {
    const slot = (_: unknown, now: boolean) => now && setSeen(true);
    section.seenChanged.connect(slot, slot);
    return () => {
      section.seenChanged.disconnect(slot, slot);
    };
  }, [section]);
  return seen;
}

/** A part, once it is loaded. */
function Part(props: {
  part: INotebookPart;
  section: ISection;
}): React.ReactElement | null {
  const { part, section } = props;
  const [drawn, setDrawn] = React.useState<React.ReactElement | null>(null);
  React.useEffect(() => {
    let left = false;
    void Promise.resolve(part.render(section)).then(element => {
      if (!left) {
        setDrawn(element);
      }
    });
    return () => {
      left = true;
    };
  }, [part, section]);
  return drawn;
}
