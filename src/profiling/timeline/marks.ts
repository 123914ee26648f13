import type { IAdvice } from '../service';

/** A stretch of time, in microseconds after the trace's first event. */
export type IMoment = NonNullable<IAdvice['moments']>[number];

/** Moments that something beside the timeline tells of, such as what an advice rests on; one of them is looked at. */
export interface IMarks {
  readonly title: string;
  readonly moments: readonly IMoment[];
  readonly at: number;
  /** The rank on whose clock the moments are, where a profile has several. */
  readonly rank?: number | null;
  /** They are looked at beside the other ranks. */
  readonly together?: boolean;
}

/** So much time is shown before and after a moment, in lengths of it. */
const AROUND = 1;

/** What is shown of the time around a moment. Nanoseconds. */
export function aroundMoment({
  start_us,
  end_us
}: IMoment): [first: number, last: number] {
  const room = Math.max(end_us - start_us, 1) * AROUND;
  return [Math.max(0, start_us - room) * 1000, (end_us + room) * 1000];
}

/** The same moments with another one looked at: after the last comes the first. */
export function turned(marks: IMarks, by: number): IMarks {
  const count = marks.moments.length;
  return { ...marks, at: (marks.at + by + count) % count };
}
