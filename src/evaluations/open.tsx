import { Notification } from '@jupyterlab/apputils';
import * as React from 'react';

import type { IGenOpsCore } from '../core';
import { openForm } from '../core/ui/form-dialog';

import { EvaluateForm } from './evaluate';
import { EvaluationsService } from './service';
import { EvaluateFields } from './view/evaluate-form';

/** Ask on which data a version is evaluated, and begin. */
export async function openEvaluate(
  core: Pick<IGenOpsCore, 'api' | 'trans'>,
  version: { name: string; version: string }
): Promise<void> {
  const { trans } = core;
  const form = new EvaluateForm(
    new EvaluationsService(core.api),
    version.name,
    version.version,
    trans
  );
  void form.load();
  const begun = await openForm({
    title: trans.__('Evaluate %1 version %2', version.name, version.version),
    form,
    render: () => <EvaluateFields form={form} trans={trans} />,
    action: trans.__('Evaluate'),
    trans
  });
  if (begun) {
    Notification.info(
      trans.__(
        '“%1” is in progress. Tasks show how far it is.',
        begun.task.title
      ),
      { autoClose: 5000 }
    );
  }
}
