import type { TranslationBundle } from '@jupyterlab/translation';
import { Notification } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import * as React from 'react';

import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import { Field, FormModel, openForm } from '../core';

import '../../style/hosts/dialogs.css';

import type { ICommandsOptions } from './commands';
import { chooseKernel, kernelTitle } from './dialogs';
import type { IRemoteKernel } from './service';

import '../../style/hosts/dialogs.css';

type IListeningPort = components['schemas']['ListeningPort'];
type IOpenedPort = components['schemas']['OpenedPort'];

/** The value of the list for a port that is not in it. */
const OTHER = '';

interface IPortFields {
  /** The chosen port, or {@link OTHER}. */
  listed: string;
  other: string;
  trusted: boolean;
}

/** A port of a program in a kernel, to be opened in the browser. */
export class PortForm extends FormModel<IPortFields, IOpenedPort> {
  constructor(
    private _api: GenOpsApi,
    readonly kernel: IRemoteKernel,
    readonly ports: readonly IListeningPort[],
    trans: TranslationBundle
  ) {
    super(
      { listed: ports[0]?.port ?? OTHER, other: '', trusted: false },
      trans
    );
  }

  get valid(): boolean {
    return this._port !== '';
  }

  protected async send({
    trusted
  }: Readonly<IPortFields>): Promise<IOpenedPort> {
    const { kernel_id: where } = this.kernel;
    // Browsers let only the click itself open a tab, not a late answer.
    const tab = window.open('', '_blank');
    try {
      const opened = await this._api.data(
        this._api.http.POST('/ports', {
          body: { where, port: this._port, trusted }
        })
      );
      if (tab) {
        tab.opener = null;
        tab.location.href = opened.path;
      }
      return opened;
    } catch (reason) {
      tab?.close();
      throw reason;
    }
  }

  private get _port(): string {
    return this.fields.listed || this.fields.other.trim();
  }
}

/** Ask for a port of a kernel's programs, and open it in a tab of the browser. */
export async function openPort(
  { core, model }: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { api, trans } = core;
  const running = ({ state }: IRemoteKernel) => state === 'running';
  const found = await chooseKernel(model, args, running, trans);
  if (!found) {
    return;
  }
  const where = found.kernel.kernel_id;
  const ports = await api.data(
    api.http.GET('/ports', { params: { query: { where } } })
  );
  const form = new PortForm(api, found.kernel, ports, trans);
  const opened = await openForm({
    title: trans.__('Open a port of %1', kernelTitle(found.kernel)),
    form,
    action: trans.__('Open'),
    trans,
    render: ({ fields }) => (
      <PortFields form={form} fields={fields} trans={trans} />
    )
  });
  if (opened) {
    show(api, opened, trans);
  }
}

/** The list of ports, a field for another one, and the question of trust. */
export function PortFields(props: {
  form: PortForm;
  fields: Readonly<IPortFields>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, fields, trans } = props;
  return (
    <>
      {form.ports.length > 0 ? (
        <Field
          label={trans.__('Port')}
          help={trans.__('Programs in this kernel that listen on a port')}
        >
          {control => (
            <select
              {...control}
              value={fields.listed}
              onChange={event => form.set({ listed: event.target.value })}
            >
              {form.ports.map(({ port, command }) => (
                <option key={port} value={port}>
                  {`${port} (${shortened(command)})`}
                </option>
              ))}
              <option value={OTHER}>{trans.__('Another…')}</option>
            </select>
          )}
        </Field>
      ) : (
        <p className="gol-Note">
          {trans.__(
            'No program in this kernel listens on a port. Start TensorBoard or another program in a cell.'
          )}
        </p>
      )}
      {fields.listed === OTHER && (
        <Field
          label={trans.__('Port or socket')}
          help={trans.__(
            'A number, or the path of a unix socket on the host, such as 6006'
          )}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={fields.other}
              onChange={event => form.set({ other: event.target.value })}
            />
          )}
        </Field>
      )}
      <label className="gol-Tick">
        <input
          type="checkbox"
          checked={fields.trusted}
          onChange={event => form.set({ trusted: event.target.checked })}
        />
        {trans.__('Trust its pages')}
      </label>
      <p className="gol-Note">
        {trans.__(
          'Trusted pages can act as you in JupyterLab. TensorBoard, Gradio and Streamlit work only if they are trusted.'
        )}
      </p>
    </>
  );
}

/** Say that the port is open: a browser may have refused to open a tab. */
function show(
  api: GenOpsApi,
  opened: IOpenedPort,
  trans: TranslationBundle
): void {
  const { host, name, path, port, target } = opened;
  const open = () => {
    window.open(path, '_blank', 'noopener');
  };
  Notification.success(trans.__('Port %1 of %2 is open.', port, target), {
    autoClose: false,
    actions: [
      { label: trans.__('Open'), callback: open },
      {
        label: trans.__('Close'),
        callback: () => {
          void api.http.DELETE('/opened-ports/{host}/{name}', {
            params: { path: { host, name } }
          });
        }
      }
    ]
  });
}

/** A program's command line, without the folders of its files. */
export function shortened(command: string): string {
  const words = command
    .split(' ')
    .map(word => word.slice(word.lastIndexOf('/') + 1));
  const line = words.join(' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
