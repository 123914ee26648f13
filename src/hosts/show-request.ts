import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import type { TranslationBundle } from '@jupyterlab/translation';

import { RequestForm } from './request';
import type { TargetsService } from './service';
import { openRequestDialog } from './view/request-dialog';

/** Show what a start on a target sends, and keep the edited text as its template. */
export async function showRequest(
  app: JupyterFrontEnd,
  service: TargetsService,
  target: string,
  trans: TranslationBundle
): Promise<void> {
  const [request, { factoryService }] = await Promise.all([
    service.request(target),
    app.resolveRequiredService(IEditorServices)
  ]);
  const form = new RequestForm(service, target, request, trans);
  const kept = await openRequestDialog(form, factoryService, trans);
  if (kept) {
    Notification.success(
      kept.template
        ? trans.__('Starts on “%1” are built on your text from now on.', target)
        : trans.__(
            'Starts on “%1” follow its fields alone from now on.',
            target
          )
    );
  }
}
