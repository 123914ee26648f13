/** Python code that makes a table of a profile's trace. */
import type { IProfile } from '../service';

/**
 * A cell that reads the trace and makes a data frame of a field of its summary;
 * null if there is no trace.
 */
export function tableCode(
  profile: Pick<
    IProfile,
    'title' | 'run_id' | 'artifact' | 'trace_path' | 'trace_target'
  >,
  field: string
): string | null {
  const trace = traceOf(profile);
  if (!trace) {
    return null;
  }
  const name = field.split('.')[0];
  const guarded = field.includes('.')
    ? `summary.${field} if summary.${name} else []`
    : `summary.${field}`;
  return [
    `# The trace of the profile ${text(profile.title)}.`,
    'import msgspec',
    'import pandas as pd',
    'from genops_lab.profiler import analyze',
    ...trace,
    '',
    'summary = analyze(trace)',
    `${name} = pd.DataFrame(msgspec.to_builtins(${guarded}))`,
    name,
    ''
  ].join('\n');
}

function traceOf(
  profile: Pick<IProfile, 'run_id' | 'artifact' | 'trace_path' | 'trace_target'>
): string[] | null {
  const { run_id, artifact, trace_path, trace_target } = profile;
  if (run_id && artifact) {
    // The run has the trace on every machine.
    return [
      'import mlflow',
      '',
      `trace = mlflow.artifacts.download_artifacts(run_id=${text(run_id)}, artifact_path=${text(artifact)})`
    ];
  }
  // The notebook may run on another machine than the target with the trace.
  return trace_path && !trace_target
    ? ['', `trace = ${text(trace_path)}`]
    : null;
}

/**
 * JSON strings are valid in Python; a title of several lines stays in its
 * comment.
 */
function text(value: string): string {
  return JSON.stringify(value);
}
