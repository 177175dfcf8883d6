/** Who can't reach whom, and until when. Names: `node-1`, `broker-1`, `store`, `orders` ... */
export class Network {
  readonly #cuts = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  cut(a: string, b: string, until: number): void {
    this.#cuts.set(pair(a, b), Math.max(until, this.#cuts.get(pair(a, b)) ?? 0));
  }

  /** When what is sent now arrives: the end of the cut, or 0 when there is none. */
  cutUntil(a: string, b: string): number {
    const until = this.#cuts.get(pair(a, b)) ?? 0;
    return until > this.#now() ? until : 0;
  }

  heal(): void {
    this.#cuts.clear();
  }
}

const pair = (a: string, b: string) => (a < b ? `${a} ${b}` : `${b} ${a}`);
