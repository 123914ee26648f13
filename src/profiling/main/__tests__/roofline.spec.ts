import { LOOK } from '../../../core/charts/__tests__/support';
import type { IOperatorWork, IRoofline } from '../../service';
import {
  attainable,
  placedWorks,
  rooflinePicture,
  workAt
} from '../overview/roofline-picture';

import { trans } from './support';

const PEAK = { model: 'V100', dtype: 'fp16', tflops: 100, gb_per_s: 1000 };
function work(part: Partial<IOperatorWork>): IOperatorWork {
  return {
    name: 'aten::mm',
    shapes: '[2, 2]',
    dtype: 'fp16',
    count: 1,
    device_us: 100,
    flops: 1,
    bytes: 1,
    tflops: 50,
    gb_per_s: 1,
    intensity: 400,
    share: 0.5,
    bound: 'compute',
    ...part
  };
}

function rooflineOf(operators: IOperatorWork[]): IRoofline {
  return {
    peaks: [PEAK],
    flops: 1,
    mfu: null,
    covered: 1,
    operators,
    usd_a_step: null,
    missing: ''
  };
}

function pictureOf(operators: IOperatorWork[]) {
  return rooflinePicture({
    roofline: rooflineOf(operators),
    width: 600,
    height: 300,
    look: LOOK,
    colorOf: bound => bound,
    trans
  });
}

describe('the roofline', () => {
  it('rises with the intensity up to the peak', () => {
    expect(attainable(PEAK, 10)).toBe(10);
    expect(attainable(PEAK, 100)).toBe(100);
    expect(attainable(PEAK, 1000)).toBe(100);
  });

  it('has the operators with FLOPs and a roof, most time first', () => {
    const placed = placedWorks(
      rooflineOf([
        work({ name: 'small', device_us: 1 }),
        work({ name: 'large' }),
        work({ name: 'moves bytes alone', intensity: 0, tflops: 0 }),
        work({ name: 'another dtype', dtype: 'int8' })
      ])
    );
    expect(placed.map(({ name }) => name)).toEqual(['large', 'small']);
  });

  it('has an operator at its roof on the line, and one below it below', () => {
    const { scene, works } = pictureOf([
      work({ name: 'at the peak', tflops: 100, intensity: 1000 }),
      work({ name: 'half', tflops: 50, intensity: 1000, device_us: 25 }),
      work({ name: 'at the bandwidth', tflops: 10, intensity: 10 })
    ]);
    const [roof] = scene.marks.flatMap(mark =>
      mark.kind === 'line' && mark.clipped ? [mark] : []
    );
    const [peak, bandwidth, half] = works;
    expect(peak.y).toBeCloseTo(roof.y[1]);
    expect(half.y).toBeGreaterThan(peak.y);
    expect(half.x).toBe(peak.x);
    expect(half.radius).toBe(peak.radius / 2);
    // On the slope: as far along it as across.
    const along = (bandwidth.x - roof.x[0]) / (roof.x[1] - roof.x[0]);
    const up = (bandwidth.y - roof.y[0]) / (roof.y[1] - roof.y[0]);
    expect(along).toBeCloseTo(up);
    expect(workAt(works, half.x, half.y)?.name).toBe('half');
    expect(workAt(works, 0, 0)).toBeUndefined();
  });
});
