/** The value that a share `q` of the numbers does not exceed (nearest rank). `NaN` of none. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (numbers: readonly number[]): number => quantile(numbers, 0.5);

/** Three significant digits, and whole numbers from a hundred on: more would claim more than was measured. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** p50, p99 and the largest, rounded; and how many there were. */
export function spread(numbers: readonly number[]): { readonly n: number; readonly p50: number; readonly p99: number; readonly max: number } {
  return { n: numbers.length, p50: rounded(quantile(numbers, 0.5)), p99: rounded(quantile(numbers, 0.99)), max: rounded(quantile(numbers, 1)) };
}
