import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../../core';
import { Disclosure, Field } from '../../core';

import type { DeployForm } from '../deploy';
import type { IEngineSetting } from '../service';

const EXAMPLES = {
  hub: 'HuggingFaceTB/SmolLM2-135M-Instruct-GGUF@main',
  path: '/models/model.gguf'
};

/** What serves a model without an engine, as the server names it. */
const SCORER = 'MLflow models';

interface IProps {
  form: DeployForm;
  trans: TranslationBundle;
}

/** A repository of the hub, or files of this machine; the model is checked when the field is left. */
export function PlaceFields({ form, trans }: IProps): React.ReactElement {
  const { source, place, secret } = form.fields;
  const hub = source === 'hub';
  const take = useLeft(place, text => void form.take(text.trim()));
  return (
    <>
      <Field
        label={hub ? trans.__('Repository') : trans.__('Path')}
        help={
          hub
            ? trans.__('ORG/NAME@REVISION; without a revision, @main')
            : trans.__(
                'A GGUF file, or a folder with GGUF or safetensors files'
              )
        }
      >
        {control => (
          <input
            {...control}
            {...take}
            type="text"
            placeholder={EXAMPLES[hub ? 'hub' : 'path']}
            autoComplete="off"
            spellCheck={false}
          />
        )}
      </Field>
      {hub && (
        <Field
          label={trans.__('Variable with the token')}
          help={trans.__('For a gated repository, such as HF_TOKEN')}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={secret}
              autoComplete="off"
              spellCheck={false}
              onChange={event => form.set({ secret: event.target.value })}
              onBlur={() =>
                place && !form.fields.check && void form.take(place)
              }
            />
          )}
        </Field>
      )}
    </>
  );
}

/** The settings that the engine has, with their meanings; the model is checked again with each. */
export function SettingsFields({ form, trans }: IProps): React.ReactElement {
  const { known, settings, check } = form.fields;
  const { error } = form.snapshot;
  const engine = React.useRef('');
  engine.current = check ? check.engine || SCORER : engine.current;
  const usable = known.filter(({ engines }) =>
    engines.includes(engine.current)
  );
  const given = Object.values(settings).filter(text => text).length;
  return (
    <Disclosure
      title={trans.__('Settings of %1', engine.current)}
      meta={given > 0 ? trans._n('%1 set', '%1 set', given) : undefined}
    >
      <div className="gol-Deploy-settings">
        {usable.map(setting => (
          <SettingField
            key={setting.name}
            setting={setting}
            unset={
              engine.current === SCORER
                ? trans.__('default')
                : trans.__('set by the engine')
            }
            text={settings[setting.name] ?? ''}
            error={errorOf(setting.name, error)}
            onGive={text =>
              void form.give({ ...form.fields.settings, [setting.name]: text })
            }
          />
        ))}
      </div>
    </Disclosure>
  );
}

function SettingField(props: {
  setting: IEngineSetting;
  /** Stands where nothing is given. */
  unset: string;
  text: string;
  error: string;
  onGive: (text: string) => void;
}): React.ReactElement {
  const { setting, unset, text, error, onGive } = props;
  const { name, meaning, kind, choices } = setting;
  const left = useLeft(text, onGive);
  const options = kind === 'flag' ? ['true', 'false'] : choices;
  return (
    <Field label={name} help={meaning} error={error}>
      {control =>
        kind === 'flag' || kind === 'choice' ? (
          <select
            {...control}
            value={text}
            onChange={event => onGive(event.target.value)}
          >
            <option value="">{unset}</option>
            {options.map(each => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        ) : (
          <input
            {...control}
            {...left}
            type="text"
            inputMode={
              kind === 'number' || kind === 'share' ? 'decimal' : 'text'
            }
            placeholder={unset}
            autoComplete="off"
            spellCheck={false}
          />
        )
      }
    </Field>
  );
}

/** The text of an input that counts when the input is left or Enter is pressed, where it changed. */
function useLeft(
  text: string,
  give: (text: string) => void
): Pick<
  React.InputHTMLAttributes<HTMLInputElement>,
  'value' | 'onChange' | 'onBlur' | 'onKeyDown'
> & { 'data-takes-enter': true | undefined } {
  const [typed, setTyped] = React.useState(text);
  React.useEffect(() => setTyped(text), [text]);
  const leave = () => {
    if (typed !== text) {
      give(typed);
    }
  };
  return {
    value: typed,
    // Else the dialog would send the form with the text before.
    'data-takes-enter': typed !== text || undefined,
    onChange: event => setTyped(event.target.value),
    onBlur: leave,
    onKeyDown: event => {
      if (event.key === 'Enter' && typed !== text) {
        event.preventDefault();
        event.stopPropagation();
        give(typed);
      }
    }
  };
}

/** What the server says of a setting. */
function errorOf(name: string, error: ApiError | undefined): string {
  return error &&
    (error.message.startsWith(`${name} is `) ||
      error.message.includes(`'${name}'`))
    ? error.hint || error.message
    : '';
}
