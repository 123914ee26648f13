import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ApiError,
  Callout,
  Disclosure,
  Field,
  IconButton,
  ResourceView,
  confirm,
  formatMoment,
  useNow,
  wholeNumberProblem
} from '../../core';
import { formatAge } from '../../core/format';
import { Form } from '../../core/ui/form';
import { NumberInput } from '../../core/ui/form-dialog';
import type { IDriven } from '../../panel/tokens';

import type { DeploymentsModel } from '../model';
import type { ICallerKey, IDeployment, INewKey } from '../service';
import { NewKeys } from './new-keys';

interface IProps {
  deployment: IDeployment;
  model: DeploymentsModel;
  trans: TranslationBundle;
  drive: (driven: IDriven) => { dispose(): void };
}

/** The keys of people and programs: who has one, when it was used, a new one, and the end of one. */
export function Keys(props: IProps): React.ReactElement {
  return (
    <Disclosure title={props.trans.__('Keys of callers')}>
      <OpenKeys {...props} />
    </Disclosure>
  );
}

function OpenKeys({
  deployment,
  model,
  trans,
  drive
}: IProps): React.ReactElement {
  const { name } = deployment;
  const [error, setError] = React.useState<ApiError>();
  const [made, setMade] = React.useState<ICallerKey>();
  const keys = React.useMemo(() => model.keys(name), [model, name]);
  React.useEffect(() => {
    const driven = drive(keys);
    return () => {
      driven.dispose();
      keys.dispose();
    };
  }, [keys]);
  const attempt = async (change: () => Promise<void>) => {
    setError(undefined);
    try {
      await change();
      await keys.refresh();
      return true;
    } catch (reason) {
      setError(ApiError.from(reason, trans));
      return false;
    }
  };
  const revoke = async (key: string) => {
    const agreed = await confirm({
      title: trans.__('Revoke the key “%1” of %2?', key, name),
      body: trans.__(
        'Requests with the key are refused at once. This cannot be undone.'
      ),
      action: trans.__('Revoke'),
      danger: true,
      trans
    });
    if (agreed) {
      setMade(undefined);
      await attempt(() => model.service.revokeKey(name, key));
    }
  };
  return (
    <>
      <ResourceView
        resource={keys}
        trans={trans}
        down={trans.__('The keys cannot be read.')}
        keepMounted
        empty={
          <p className="gol-Note">
            {trans.__(
              'No keys yet. Add one for each person or program that sends requests.'
            )}
          </p>
        }
      >
        {found => (
          <ul
            className="gol-Revisions"
            aria-label={trans.__('Keys of callers of %1', name)}
          >
            {found.map(key => (
              <li key={key.name}>
                <div className="gol-Revisions-what">
                  <span className="gol-Revisions-name">{key.name}</span>
                  <IconButton
                    icon={deleteIcon}
                    label={trans.__('Revoke the key %1', key.name)}
                    onClick={() => void revoke(key.name)}
                  />
                </div>
                <div className="gol-Revisions-figures">
                  {limitsOf(key, trans)}
                  <br />
                  <LastUse of={key} trans={trans} />
                </div>
              </li>
            ))}
          </ul>
        )}
      </ResourceView>
      <div role="status">{made && <NewKeys keys={[made]} trans={trans} />}</div>
      {error && (
        <div role="alert">
          <Callout tone="error" title={error.message}>
            {error.hint}
          </Callout>
        </div>
      )}
      <NewKey
        tokens={Boolean(deployment.serving)}
        onAdd={asked =>
          attempt(async () => {
            setMade(undefined);
            setMade(await model.service.addKey(name, asked));
          })
        }
        trans={trans}
      />
    </>
  );
}

/** The form of a new key. */
function NewKey(props: {
  /** Whether the deployment has tokens to limit. */
  tokens: boolean;
  onAdd: (key: INewKey) => Promise<boolean>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { trans } = props;
  const [name, setName] = React.useState('');
  const [limit, setLimit] = React.useState(0);
  const [tokens, setTokens] = React.useState(0);
  const [busy, setBusy] = React.useState(false);
  const problem = (value: number) => wholeNumberProblem(value, trans, MOST);
  const valid = name.trim() !== '' && !problem(limit) && !problem(tokens);
  const add = async () => {
    setBusy(true);
    if (await props.onAdd({ name: name.trim(), limit, tokens })) {
      setName('');
    }
    setBusy(false);
  };
  return (
    <Form
      busy={busy}
      onSubmit={() => {
        if (valid && !busy) {
          void add();
        }
      }}
    >
      <Field label={trans.__('Name of a person or program')}>
        {control => (
          <input
            {...control}
            type="text"
            value={name}
            autoComplete="off"
            spellCheck={false}
            onChange={event => setName(event.target.value)}
          />
        )}
      </Field>
      <Field
        label={trans.__('Requests a minute')}
        help={trans.__('0 is no limit.')}
        error={problem(limit)}
      >
        {control => (
          <NumberInput control={control} value={limit} onChange={setLimit} />
        )}
      </Field>
      {props.tokens && (
        <Field
          label={trans.__('Tokens a minute')}
          help={trans.__('In prompts and answers. 0 is no limit.')}
          error={problem(tokens)}
        >
          {control => (
            <NumberInput
              control={control}
              value={tokens}
              onChange={setTokens}
            />
          )}
        </Field>
      )}
      <div className="gol-Actions">
        <button
          type="submit"
          className="gol-Button jp-mod-styled jp-mod-minimal"
          disabled={!valid}
          aria-disabled={busy || undefined}
        >
          {trans.__('Add key')}
        </button>
      </div>
    </Form>
  );
}

/** The highest limit, as the server has it. */
const MOST = 1_000_000_000;

function LastUse(props: {
  of: ICallerKey;
  trans: TranslationBundle;
}): React.ReactElement {
  const { of, trans } = props;
  const now = useNow(15);
  const at = of.last_used_at;
  return at ? (
    <span title={formatMoment(at)}>
      {trans.__('Last used %1', formatAge(at, now, trans))}
    </span>
  ) : (
    <span
      title={trans.__(
        'No request had the key since the gateway of the deployment started'
      )}
    >
      {trans.__('No use is known')}
    </span>
  );
}

function limitsOf(
  { limit, tokens }: ICallerKey,
  trans: TranslationBundle
): string {
  const found = [
    limit ? trans.__('%1 requests a minute', limit.toLocaleString()) : '',
    tokens ? trans.__('%1 tokens a minute', tokens.toLocaleString()) : ''
  ].filter(each => each);
  return found.join(', ') || trans.__('No limit');
}
