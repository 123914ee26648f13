import type { WidgetTracker } from '@jupyterlab/apputils';
import {
  InputDialog,
  MainAreaWidget,
  Notification
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError, experimentIcon, titled } from '../../core';

import type { IOptions } from './commands';
import { ComparisonModel } from './model';
import type { ComparisonService, IRun } from './service';
import { ComparisonView } from './view/comparison';

interface IOpening extends IOptions {
  tracker: WidgetTracker<MainAreaWidget<ComparisonView>>;
  compareProfiles: (before: string, after: string) => void;
}

/** Open the comparison of the runs of a command; ask for runs where fewer than two are given. */
export async function openComparison(
  options: IOpening,
  args: ReadonlyPartialJSONObject
): Promise<MainAreaWidget<ComparisonView> | null> {
  const { service, trans } = options;
  const given = Array.isArray(args.run_ids)
    ? args.run_ids.filter(id => typeof id === 'string')
    : [];
  const baseline = typeof args.baseline === 'string' ? args.baseline : '';
  try {
    const runIds =
      new Set(given).size < 2
        ? await asked(service, given, trans)
        : [...new Set(given)];
    return runIds && (await open(options, runIds, baseline));
  } catch (reason) {
    const error = ApiError.from(reason, trans);
    Notification.error(`${error.message} ${error.hint}`.trim());
    return null;
  }
}

async function open(options: IOpening, runIds: string[], baseline: string) {
  const { app, service, media, events, trans, tracker } = options;
  const { compareProfiles } = options;
  const id = `genops-comparison-${[...runIds].sort().join('-')}`;
  let widget = tracker.find(each => each.id === id);
  if (!widget) {
    const model = new ComparisonModel({
      service,
      media,
      events,
      trans,
      runIds,
      baseline
    });
    const made = new MainAreaWidget({
      content: new ComparisonView(model, service, trans, compareProfiles)
    });
    widget = made;
    widget.id = id;
    widget.title.label = trans.__('Comparison');
    widget.title.caption = trans._n(
      '%1 run side by side',
      '%1 runs side by side',
      runIds.length
    );
    widget.title.icon = experimentIcon;
    widget.title.closable = true;
    model.changed.connect(() => void tracker.save(made), made);
    void tracker.add(widget);
    app.shell.add(widget, 'main');
  } else if (baseline) {
    widget.content.model.baseline = baseline;
  }
  app.shell.activateById(id);
  return widget;
}

/** Ask which runs to compare with those given; null for none. */
async function asked(
  service: ComparisonService,
  given: readonly string[],
  trans: TranslationBundle
): Promise<string[] | null> {
  const labels = new Map<string, string>();
  for (const run of await service.runs()) {
    if (!given.includes(run.run_id)) {
      labels.set(labelOf(run), run.run_id);
    }
  }
  if (labels.size + given.length < 2) {
    Notification.info(trans.__('A comparison needs two runs.'));
    return null;
  }
  const { value } = await titled(
    given.length
      ? trans.__('Compare with')
      : trans.__('Compare runs: choose two or more'),
    title =>
      InputDialog.getMultipleItems({
        title,
        items: [...labels.keys()],
        okLabel: trans.__('Compare')
      })
  );
  const chosen = (value ?? []).map(label => labels.get(label)!);
  const runIds = [...given, ...chosen];
  return runIds.length < 2 ? null : runIds;
}

function labelOf(run: IRun): string {
  const name = run.name || run.run_id.slice(0, 8);
  return `${name} · ${run.experiment} · ${run.run_id.slice(0, 8)}`;
}
