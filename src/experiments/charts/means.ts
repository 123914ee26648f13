/** Computes means with their confidence intervals. */
/** Student's t for 95 % (two-sided), for 1 to 30 degrees of freedom; 1.96 beyond is off by less than 4 %. */
export const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201,
  2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074,
  2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042
];

/**
 * Return the mean of some numbers and half of its 95 % interval (NaN for one
 * number).
 */
export function meanOf(numbers: readonly number[]): {
  mean: number;
  error: number;
} {
  const count = numbers.length;
  const mean = numbers.reduce((sum, each) => sum + each, 0) / count;
  if (count < 2) {
    return { mean, error: NaN };
  }
  const variance =
    numbers.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (count - 1);
  return {
    mean,
    error: (STUDENT[count - 2] ?? 1.96) * Math.sqrt(variance / count)
  };
}
