/** What the page of traces does elsewhere in the Lab; each executes a command. */
export interface ITraceActions {
  /** Open a trace in MLflow's own pages. */
  openMlflow(trace: { trace_id: string; experiment_id: string }): void;
  openRun(run_id: string): void;
  /** Show the cell that made a trace. */
  openCell(notebook: string, cell: string): void;
}
