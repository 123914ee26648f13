import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Disclosure, DownState } from '../../core';
import type { Resource } from '../../core';
import { useResource } from '../../core/ui/hooks';
import type { ExperimentsModel } from '../model';
import type { IRunOutput } from '../service';

/** Colours and cursor moves of a terminal. */
// eslint-disable-next-line no-control-regex
const CODES = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*\u0007/g;

/** The printed output of a run, fetched when the section is opened. */
export function Output(props: {
  runId: string;
  model: ExperimentsModel;
  trans: TranslationBundle;
}): React.ReactElement {
  return (
    <Disclosure title={props.trans.__('Output')}>
      <Streams {...props} />
    </Disclosure>
  );
}

function Streams(props: {
  runId: string;
  model: ExperimentsModel;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { runId, model } = props;
  const [output, setOutput] = React.useState<Resource<IRunOutput> | null>(null);
  React.useEffect(() => {
    const made = model.outputOf(runId);
    setOutput(made);
    return () => made.dispose();
  }, [model, runId]);
  return output && <Texts resource={output} trans={props.trans} />;
}

function Texts(props: {
  resource: Resource<IRunOutput>;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { resource, trans } = props;
  const { value, error, busy } = useResource(resource);
  if (error && !value) {
    return (
      <DownState
        what={trans.__('The output of this run cannot be read.')}
        error={error}
        busy={busy}
        trans={trans}
        onRetry={() => void resource.refresh()}
      />
    );
  }
  if (!value) {
    return null;
  }
  return (
    <>
      {value.texts.map(({ path, stream, session, text }) => (
        <section key={path} className="gol-Run-output">
          <h4>{session ? `${session}: ${stream}` : stream}</h4>
          <pre
            tabIndex={0}
            role="region"
            aria-label={trans.__('Output of the run to %1', stream)}
          >
            {text.replace(CODES, '')}
          </pre>
        </section>
      ))}
      <ActionButton
        label={trans.__('Refresh')}
        caption={trans.__('Fetch the output up to now')}
        onClick={() => void resource.refresh()}
      />
    </>
  );
}
