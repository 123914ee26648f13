import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  Disclosure,
  Field,
  ResourceView,
  formatDuration,
  useResource,
  useSignalled
} from '../../core';
import { Form } from '../../core/ui/form';
import { NumberInput } from '../../core/ui/form-dialog';
import { Progress } from '../../core/ui/progress';

import type { IRecording, RecordingModel } from './recording-model';

/** The most requests that the gateway records. */
const MOST_REQUESTS = 1000;

/** Record requests of callers for a load test, see how many there are, and forget them. */
export function RecordingView(props: {
  model: RecordingModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { value } = useResource(model.shown);
  const error = useSignalled(model.changed, () => model.error);
  return (
    <Disclosure
      title={trans.__('Record requests')}
      meta={
        value
          ? trans._n('%1 recorded', '%1 recorded', value.requests)
          : undefined
      }
    >
      <p className="gol-Note">
        {trans.__(
          'The gateway keeps the next requests of your callers in its memory, for an hour at most. Nobody can read them here: they may be personal data.'
        )}
      </p>
      <ResourceView
        resource={model.shown}
        trans={trans}
        down={trans.__('The recording cannot be read.')}
        keepMounted
        empty={null}
      >
        {recording =>
          recording ? (
            <Recorded recording={recording} model={model} trans={trans} />
          ) : (
            <NewRecording model={model} trans={trans} />
          )
        }
      </ResourceView>
      {error && (
        <div role="alert">
          <Callout tone="error" title={error.message}>
            {error.hint}
          </Callout>
        </div>
      )}
    </Disclosure>
  );
}

function NewRecording(props: {
  model: RecordingModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const [wanted, setWanted] = React.useState(200);
  const valid =
    Number.isInteger(wanted) && wanted >= 1 && wanted <= MOST_REQUESTS;
  return (
    <Form
      className="gol-Load-form"
      onSubmit={() => valid && void model.start(wanted)}
    >
      <div className="gol-Load-numbers">
        <Field
          label={trans.__('Requests to record')}
          error={
            valid
              ? ''
              : trans.__('Enter a whole number from 1 to %1.', MOST_REQUESTS)
          }
        >
          {control => (
            <NumberInput
              control={control}
              value={wanted}
              onChange={setWanted}
            />
          )}
        </Field>
      </div>
      <div className="gol-Actions">
        <button
          type="submit"
          className="gol-Button jp-mod-styled jp-mod-minimal"
          disabled={!valid}
        >
          {trans.__('Start recording')}
        </button>
      </div>
    </Form>
  );
}

function Recorded(props: {
  recording: IRecording;
  model: RecordingModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { recording, model, trans } = props;
  const { requests, wanted, full, path, left_s } = recording;
  return (
    <div role="status">
      {full ? (
        <p>
          {trans._n(
            '%1 request to %2 is recorded.',
            '%1 requests to %2 are recorded.',
            requests,
            path
          )}
        </p>
      ) : (
        <Progress
          label={trans.__('Recorded requests')}
          done={requests}
          of={wanted}
          text={
            requests
              ? trans.__('%1 of %2 requests, to %3', requests, wanted, path)
              : trans.__('Waiting for the first request')
          }
        />
      )}
      <div className="gol-Actions">
        <ActionButton
          label={trans.__('Forget them')}
          caption={trans.__(
            'End the recording and forget its requests, which else happens in %1',
            formatDuration(left_s)
          )}
          onClick={() => void model.forget()}
        />
      </div>
    </div>
  );
}
