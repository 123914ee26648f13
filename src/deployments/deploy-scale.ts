import type { TranslationBundle } from '@jupyterlab/translation';

import type { INewDeployment } from './service';

/** How many replicas a deployment has, and when its model is unloaded, as typed; empty: as before. */
export interface IScaleTexts {
  least: string;
  most: string;
  /** Requests in flight that one replica is for. */
  concurrency: string;
  /** Minutes without a caller after which the model is unloaded. */
  sleep: string;
}

export const AS_BEFORE: IScaleTexts = {
  least: '',
  most: '',
  concurrency: '',
  sleep: ''
};

/** The bounds that the server has. */
const MOST_REPLICAS = 64;
const MOST_SLEEP_MINUTES = 527_040;

/** What is wrong with each text, as the server checks it; no entry for one that is right. */
export function scaleProblems(
  texts: IScaleTexts,
  settings: Readonly<Record<string, string>>,
  trans: TranslationBundle
): Partial<Record<keyof IScaleTexts, string>> {
  const found: Partial<Record<keyof IScaleTexts, string>> = {};
  const { least, most } = texts;
  for (const name of ['least', 'most'] as const) {
    const value = Number(texts[name]);
    if (
      texts[name].trim() &&
      !(Number.isInteger(value) && value >= 1 && value <= MOST_REPLICAS)
    ) {
      found[name] = trans.__(
        'Enter a whole number from 1 to %1.',
        MOST_REPLICAS
      );
    }
  }
  if (!found.least && !found.most && most.trim() && least.trim()) {
    if (Number(most) < Number(least)) {
      found.most = trans.__('Enter %1 or more: at least so many run.', least);
    }
  }
  if (texts.concurrency.trim() && !(Number(texts.concurrency) > 0)) {
    found.concurrency = trans.__('Enter a number above 0.');
  }
  if (texts.sleep.trim()) {
    const minutes = Number(texts.sleep);
    if (!(minutes >= 0 && minutes <= MOST_SLEEP_MINUTES)) {
      found.sleep = trans.__(
        'Enter minutes from 0 to %1.',
        MOST_SLEEP_MINUTES.toLocaleString()
      );
    } else if (minutes > 0 && Number(settings.workers) > 1) {
      found.sleep = trans.__('A model with several workers is not unloaded.');
    }
  }
  return found;
}

/** The scale; null leaves it as it is. */
export function scaleOf(texts: IScaleTexts): INewDeployment['scale'] {
  const { least, most, concurrency } = texts;
  if (![least, most, concurrency].some(each => each.trim())) {
    return null;
  }
  const min = Number(least) || 1;
  return {
    min,
    max: Number(most) || min,
    concurrency: Number(concurrency) || 0
  };
}

export function sleepMinutesOf({ sleep }: IScaleTexts): number {
  return Number(sleep) || 0;
}
