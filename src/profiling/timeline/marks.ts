import type { IAdvice } from '../service';

/** A period in microseconds after the trace's first event. */
export type IMoment = NonNullable<IAdvice['moments']>[number];

/** Marked moments, such as those of an advice; one of them is current. */
export interface IMarks {
  readonly title: string;
  readonly moments: readonly IMoment[];
  readonly at: number;
  /** The rank whose clock the moments use, if a profile has several. */
  readonly rank?: number | null;
  /** Whether they are shown together with the other ranks. */
  readonly together?: boolean;
}

/** Time shown before and after a moment, in lengths of the moment. */
const AROUND = 1;

/** The visible time around a moment. Nanoseconds. */
export function aroundMoment({
  start_us,
  end_us
}: IMoment): [first: number, last: number] {
  const room = Math.max(end_us - start_us, 1) * AROUND;
  return [Math.max(0, start_us - room) * 1000, (end_us + room) * 1000];
}

/** The same moments with another current one; it wraps around. */
export function turned(marks: IMarks, by: number): IMarks {
  const count = marks.moments.length;
  return { ...marks, at: (marks.at + by + count) % count };
}
