import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  ABCWidgetFactory,
  DocumentModel,
  DocumentWidget
} from '@jupyterlab/docregistry';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import { profileIcon } from '../../core';

export const FACTORY = 'Profile';
const MODEL = 'genops-profile-file';

/** Files that a double click opens as a profile. */
const OPENED = [
  {
    name: 'genops-trace',
    // *.pt.trace.json, *trace*.json
    pattern: '^.*[tT][rR][aA][cC][eE].*\\.json$',
    extensions: []
  },
  // JupyterLab has no other viewer for it.
  { name: 'genops-packed-json', extensions: ['.json.gz'] },
  { name: 'genops-memory-snapshot', extensions: ['.pickle'] },
  { name: 'genops-nsys-export', extensions: ['.sqlite'] },
  { name: 'genops-ncu-report', extensions: ['.ncu-rep'] }
];

/**
 * Open traces and snapshots with the widget that `content` makes. The file
 * itself is never sent to the browser.
 */
export function openFiles(
  { docRegistry }: JupyterFrontEnd,
  trans: TranslationBundle,
  content: (context: DocumentRegistry.Context) => Widget
): ProfileFactory {
  const look = {
    displayName: trans.__('Profile'),
    icon: profileIcon,
    contentType: 'file' as const,
    fileFormat: null,
    mimeTypes: []
  };
  for (const type of OPENED) {
    docRegistry.addFileType({ ...look, ...type });
  }
  docRegistry.addModelFactory(new Unread());
  const factory = new ProfileFactory(content, {
    name: FACTORY,
    label: trans.__('Profile'),
    modelName: MODEL,
    fileTypes: OPENED.map(({ name }) => name).concat('json'),
    defaultFor: OPENED.map(({ name }) => name),
    readOnly: true
  });
  docRegistry.addWidgetFactory(factory);
  return factory;
}

/**
 * A document whose content stays on the server: without a format, only the
 * file's entry is requested.
 */
class Unread implements DocumentRegistry.IModelFactory<DocumentRegistry.IModel> {
  readonly name = MODEL;
  readonly contentType = 'file';
  readonly fileFormat = null;
  readonly isDisposed = false;

  createNew(options?: DocumentRegistry.IModelOptions): DocumentRegistry.IModel {
    return new DocumentModel({
      ...options,
      collaborationEnabled: false
    } as ConstructorParameters<typeof DocumentModel>[0]);
  }

  preferredLanguage(): string {
    return '';
  }

  dispose(): void {
    // There is nothing to dispose.
  }
}

class ProfileFactory extends ABCWidgetFactory<DocumentWidget> {
  constructor(
    private _content: (context: DocumentRegistry.Context) => Widget,
    options: DocumentRegistry.IWidgetFactoryOptions<DocumentWidget>
  ) {
    super(options);
  }

  protected createNewWidget(context: DocumentRegistry.Context): DocumentWidget {
    const widget = new DocumentWidget({
      content: this._content(context),
      context
    });
    widget.toolbar.hide();
    widget.title.icon = profileIcon;
    return widget;
  }
}
