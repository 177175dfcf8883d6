/** What a benchmark is, and what it answers. Each stands in a file of its own in `bench/measured/`. */

export interface Figure {
  /** `p99`, `8 clients, to a plain pipe`. */
  readonly what: string;
  readonly value: number;
  /** `ms`, `s`, `MB`, `/s`, or `ratio`. */
  readonly unit: string;
  /** What was set out to be reached. It is shown beside the figure; nothing fails by it. */
  readonly aim?: { readonly atMost: number } | { readonly atLeast: number };
}

export interface Measured {
  readonly figures: readonly Figure[];
  /** Everything else that helps to read the figures: counts, settings, single rounds. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface RunOptions {
  /** A tenth of the work or less: to see that it runs, not to quote. */
  readonly quick: boolean;
  /** Tells the person who waits how it goes. */
  readonly tell: (line: string) => void;
}

export interface Benchmark {
  /** The row of the table. */
  readonly title: string;
  /** One paragraph: what is measured, from which instant to which, by whose clock, and on what. */
  readonly about: string;
  readonly run: (options: RunOptions) => Promise<Measured>;
}

export function meets({ value, aim }: Figure): boolean | null {
  if (aim === undefined) return null;
  return 'atMost' in aim ? value <= aim.atMost : value >= aim.atLeast;
}
