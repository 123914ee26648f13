import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { components } from '../../api/generated';
import { CopyButton, DataTable } from '../../core';

import type { IDeployment } from '../service';

import '../../../style/deployments/playground.css';

export type IAddress = components['schemas']['Address'];

/** The addresses of a deployment; JupyterLab's own as this page knows it, which a hub or proxy may have renamed. */
export function addressesOf(
  { name, addresses }: IDeployment,
  baseUrl: string
): IAddress[] {
  return (addresses ?? []).map(each =>
    each.kind === 'lab' && each.address
      ? {
          ...each,
          address: `${baseUrl}genops/call/${encodeURIComponent(name)}`
        }
      : each
  );
}

/** Code that asks an address, below comments that say where it runs and what it needs. */
export function withComments(
  code: string,
  address: IAddress | undefined,
  trans: TranslationBundle
): string {
  if (!address) {
    return code;
  }
  const lines = [
    trans.__('Works from: %1', address.reached_from),
    trans.__('DEPLOYMENT_KEY is %1.', address.credential)
  ];
  if (address.command) {
    lines.push(trans.__('First run on that machine: %1', address.command));
  }
  if (address.kind === 'https') {
    lines.push(
      trans.__(
        'If the certificate is of an authority of your own: export SSL_CERT_FILE=authority.pem'
      )
    );
  }
  return [...lines.map(each => `# ${each}`), code].join('\n');
}

/** Choose the address in the code that is copied. */
export function AddressChoice(props: {
  addresses: IAddress[];
  /** The kind of the chosen one. */
  chosen: IAddress['kind'];
  onChoose: (kind: IAddress['kind']) => void;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const reached = props.addresses.filter(each => each.address);
  const id = React.useId();
  return reached.length < 2 ? null : (
    <span className="gol-CodeAddress">
      <label htmlFor={id}>{props.trans.__('Code for')}</label>
      <select
        id={id}
        className="jp-mod-styled"
        value={props.chosen}
        onChange={({ target }) =>
          props.onChoose(target.value as IAddress['kind'])
        }
      >
        {reached.map(({ kind, reached_from }) => (
          <option key={kind} value={kind}>
            {reached_from}
          </option>
        ))}
      </select>
    </span>
  );
}

/** Who reaches a deployment from where, and why others do not. */
export function AddressTable(props: {
  addresses: IAddress[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { addresses, trans } = props;
  return (
    <DataTable
      className="gol-Table gol-mod-addresses"
      caption={trans.__('Addresses of the deployment')}
      rows={addresses}
      rowKey={({ kind }) => kind}
      columns={[
        {
          id: 'from',
          title: trans.__('From'),
          isHead: true,
          cell: ({ reached_from }) => reached_from
        },
        {
          id: 'address',
          title: trans.__('Address'),
          cell: each => <Where address={each} trans={trans} />
        },
        {
          id: 'who',
          title: trans.__('Who'),
          cell: ({ callers }) => callers
        },
        {
          id: 'sends',
          title: trans.__('Sends'),
          cell: ({ credential }) => credential
        }
      ]}
    />
  );
}

function Where(props: {
  address: IAddress;
  trans: TranslationBundle;
}): React.ReactElement {
  const { trans } = props;
  const { address, command, problem } = props.address;
  if (!address) {
    return <span className="gol-Note">{problem}</span>;
  }
  return (
    <>
      <code>{address}</code>
      <CopyButton
        text={address}
        label={trans.__('Copy the address %1', address)}
        trans={trans}
      />
      {command && (
        <div>
          {trans.__('First run there:')} <code>{command}</code>
          <CopyButton
            text={command}
            label={trans.__('Copy the command %1', command)}
            trans={trans}
          />
        </div>
      )}
    </>
  );
}
