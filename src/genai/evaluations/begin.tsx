/** Begin evaluations from the page, the file browser and the editor; loaded with the first. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { openForm } from '../../core/ui/form-dialog';
import { chooseYamlFile, yamlFile } from '../../core/yaml-file';
import { PromptSources } from '../prompts/sources';

import { NewFields } from './new-fields';
import { NewForm } from './new-form';
import { PlanFields } from './plan-fields';
import { PlanForm } from './plan-form';
import { AnswersService } from './service';

export interface IBeginContext {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  /** Null where there are no file browsers. */
  files: IFileBrowserFactory | null;
}

/**
 * Show what an evaluation file would do, and let the person start it.
 *
 * @param path a path of the file browser; empty: the file of the editor in front if it is an evaluation, else the
 * person chooses a file.
 */
export async function evaluateFile(
  context: IBeginContext,
  path: string
): Promise<void> {
  const { app, core, files } = context;
  const { trans } = core;
  const chosen =
    path ||
    fileInFront(app, /^kind:\s*["']?Evaluation\b/m) ||
    (files &&
      (await chooseYamlFile(files, trans.__('Choose an evaluation file'))));
  if (!chosen) {
    return;
  }
  await saveIfOpen(app, chosen);
  const file = yamlFile(app.serviceManager.contents, chosen);
  const form = new PlanForm(new AnswersService(core.api), file, trans);
  void form.load();
  let edits = false;
  const begun = await openForm({
    title: trans.__('Evaluate a file'),
    form,
    render: () => <PlanFields form={form} trans={trans} />,
    action: trans.__('Start'),
    other: {
      label: trans.__('Edit the file'),
      execute: () => {
        edits = true;
      }
    },
    focus: '.gol-Form select',
    trans
  });
  if (begun) {
    await app.commands.execute('genops:open-evaluations');
  } else if (edits) {
    await app.commands.execute('docmanager:open', { path: chosen });
  }
}

/** Let the person describe an evaluation, write it into a file, and show the file's plan. */
export async function newEvaluation(context: IBeginContext): Promise<void> {
  const { app, core, files } = context;
  const { trans, api } = core;
  const { contents } = app.serviceManager;
  const folder = files?.tracker.currentWidget?.model.path ?? '';
  const form = new NewForm(
    api,
    new AnswersService(api),
    contents,
    folder,
    trans
  );
  const sources = new PromptSources(core);
  sources.visible = true;
  void form.load();
  const path = await openForm({
    title: trans.__('New evaluation'),
    form,
    render: () => <NewFields form={form} sources={sources} trans={trans} />,
    action: trans.__('Write the file and show the plan'),
    trans
  }).finally(() => sources.dispose());
  if (path) {
    await evaluateFile(context, path);
  }
}

/** The path of the YAML file of the editor in front, if its text matches; else empty. */
function fileInFront(app: JupyterFrontEnd, wanted: RegExp): string {
  const { context } = (app.shell.currentWidget ??
    {}) as Partial<DocumentWidget>;
  return context &&
    /\.ya?ml$/i.test(context.path) &&
    wanted.test(context.model.toString())
    ? context.path
    : '';
}

/** Save the file in front if it was changed: the server reads what is saved. */
async function saveIfOpen(app: JupyterFrontEnd, path: string): Promise<void> {
  const { context } = (app.shell.currentWidget ??
    {}) as Partial<DocumentWidget>;
  if (context?.path === path && context.model.dirty) {
    await context.save();
  }
}
