import { MainAreaWidget, ToolbarButton } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import type { FileBrowser, IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { Uploader } from '@jupyterlab/filebrowser';
import { Drive } from '@jupyterlab/services';
import {
  folderIcon,
  newFolderIcon,
  refreshIcon
} from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';

import type { ICommandsOptions } from './commands';
import { placeOf } from './place';

/** The longest time that a timer takes: the list is read again when its tab is shown. */
const NEVER_MS = 2 ** 31 - 1;

/** The home of a host, which speaks Jupyter's contents API at an address of its own. */
export class HostDrive extends Drive {
  constructor(options: Drive.IOptions & { name: string }) {
    super({ ...options, apiEndpoint: `genops/contents/${options.name}` });
  }

  override getDownloadUrl(path: string): Promise<string> {
    const { baseUrl } = this.serverSettings;
    const place = URLExt.encodeParts(`genops/files/${this.name}/${path}`);
    return Promise.resolve(URLExt.join(baseUrl, place));
  }
}

/** A file browser in the main area, which reads its folder again when it is shown. */
class FilesTab extends MainAreaWidget<FileBrowser> {
  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this.content.model.refresh();
  }
}

/** Browse the home of a host with JupyterLab's own file browser. */
export async function browseFiles(
  options: ICommandsOptions,
  factory: IFileBrowserFactory,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { app, core } = options;
  const { api, trans } = core;
  const where = await placeOf(options, args);
  if (!where) {
    return;
  }
  const { drive, target, host_id } = await api.data(
    api.http.GET('/host-files', { params: { query: { where } } })
  );
  const id = `genops-files-${drive}`;
  const open = [...app.shell.widgets('main')].find(each => each.id === id);
  if (open) {
    app.shell.activateById(id);
    return;
  }
  const { contents } = app.serviceManager;
  if (contents.driveName(`${drive}:`) !== drive) {
    const { serverSettings } = api;
    contents.addDrive(new HostDrive({ name: drive, serverSettings }));
  }
  const browser = factory.createFileBrowser(`${id}-browser`, {
    driveName: drive,
    refreshInterval: NEVER_MS,
    restore: false,
    state: null
  });
  const { model, toolbar } = browser;
  toolbar.addItem(
    'folder',
    new ToolbarButton({
      icon: newFolderIcon,
      tooltip: trans.__('New folder'),
      onClick: () => void browser.createNewDirectory()
    })
  );
  toolbar.addItem('upload', new Uploader({ model }));
  toolbar.addItem(
    'refresh',
    new ToolbarButton({
      icon: refreshIcon,
      tooltip: trans.__('Refresh'),
      onClick: () => void model.refresh()
    })
  );
  const tab = new FilesTab({ content: browser });
  tab.id = id;
  tab.toolbar.hide(); // the browser has its own
  tab.title.label = trans.__('Files of %1', target);
  tab.title.caption = host_id
    ? trans.__('The home in %1 of %2', host_id, target)
    : trans.__('The home on %1', target);
  tab.title.icon = folderIcon;
  tab.title.closable = true;
  app.shell.add(tab, 'main', { mode: 'split-left' });
}
