import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DataTable } from '../../core';
import { RelativeTime } from '../../core';
import { ListTable } from '../../core/ui/list-table';
import { Progress } from '../../core/ui/progress';

import { CancelOrResume, FailedTask } from './work-head';
import type { IWork, WorkModel } from './work-model';

/** What an optimization of a prompt and an alignment of a judge have. */
interface IOptimizerWork {
  id: string;
  created_at: number;
  stage?: 'writing' | 'comparing' | 'done';
  sentences?: string[];
  notes?: string[];
}

/** The work of an optimizer: how far it is, what was found, and more. */
export function OptimizerResult(props: {
  model: Pick<WorkModel<IOptimizerWork, IOptimizerWork>, 'cancel' | 'resume'>;
  work: IWork<IOptimizerWork>;
  title: string;
  facts: string;
  /** What the bar counts; read aloud. */
  progress: string;
  /** Said above why the work ended early. */
  ended: string;
  children: React.ReactNode;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, work, title, facts, progress, ended, trans } = props;
  const { found, task } = work;
  const { stage, sentences = [], notes = [] } = found;
  return (
    <section className="gol-Trial" aria-label={trans.__('Result')}>
      <div className="gol-Trial-head">
        <h3>{title}</h3>
        {task && task.progress !== null && (
          <Progress label={progress} done={task.progress} of={1} text="" />
        )}
        <CancelOrResume
          model={model}
          work={work}
          canResume={stage !== 'done'}
          resume={trans.__('Resume')}
          caption={trans.__('Go on. No answer is paid for twice.')}
          trans={trans}
        />
      </div>
      <p className="gol-Note">{facts}</p>
      <p role="status" className="gol-Optimize-said">
        {task?.message ?? ''}
      </p>
      <FailedTask work={work} title={ended} />
      {sentences.map((each, at) => (
        <p key={each}>{at === 0 ? <strong>{each}</strong> : each}</p>
      ))}
      {props.children}
      {notes.map(each => (
        <p key={each} className="gol-Note">
          {each}
        </p>
      ))}
    </section>
  );
}

/** The works of an optimizer, newest first. */
export function OptimizerList<T extends IOptimizerWork>(props: {
  caption: string;
  found: readonly T[];
  /** Columns between the time and the result. */
  columns: readonly DataTable.IColumn<T>[];
  titleOf: (each: T) => string;
  /** The result of work that is not done. */
  writing: string;
  comparing: string;
  count: (count: number) => string;
  onOpen: (id: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { caption, found, columns, titleOf, count, onOpen, trans } = props;
  const resultOf = ({ stage, sentences = [] }: T) =>
    sentences[0] ?? (stage === 'writing' ? props.writing : props.comparing);
  return (
    <section className="gol-Trial" aria-label={caption}>
      <h3>{caption}</h3>
      <ListTable
        caption={caption}
        columns={[
          {
            id: 'when',
            title: trans.__('Begun'),
            isHead: true,
            cell: ({ created_at }) => (
              <RelativeTime seconds={created_at} trans={trans} />
            ),
            value: ({ created_at }) => created_at
          },
          ...columns,
          {
            id: 'result',
            title: trans.__('Result'),
            cellClass: () => 'gol-Trial-answer',
            cell: resultOf,
            value: resultOf,
            tip: resultOf
          }
        ]}
        rows={found}
        rowKey={({ id }) => id}
        rowLabel={titleOf}
        onOpen={({ id }) => onOpen(id)}
        sort={{ column: 'when', descending: true }}
        count={count}
        trans={trans}
      />
    </section>
  );
}
