import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNumber } from '../../core/format';
import { formatShare } from '../figures';
import type { IRoofline } from '../service';

/** The peak of the device, and the share of time with known FLOPs. */
export function peakWords(
  roofline: IRoofline,
  trans: TranslationBundle
): string {
  const peaks = roofline.peaks.map(peak =>
    trans.__(
      '%1: %2 TFLOP/s in %3, %4 GB/s.',
      peak.model,
      formatNumber(peak.tflops),
      peak.dtype,
      formatNumber(peak.gb_per_s)
    )
  );
  const covered =
    roofline.covered > 0
      ? [
          trans.__(
            'FLOPs are known for %1 of the compute time.',
            formatShare(roofline.covered, 1)
          )
        ]
      : [];
  return [...peaks, ...covered].join(' ');
}
