/** What a client has asked for and the target has not answered yet. */
export const QUERY = 1;
export const EXECUTE = 2;
export const PARSE = 3;
export const BIND = 4;
export const CLOSE = 5;
export const SYNC = 6;

/** So many unanswered messages are an attack, not a pipeline. */
const MOST = 1 << 18;

/**
 * A ring of unanswered messages in parallel arrays: a target answers in order, and nothing is allocated per message.
 * `text` is the number of a recorded text; `name` and `other` are statement and portal names.
 */
export class Pending {
  #kinds = new Uint8Array(16);
  #texts = new Float64Array(16);
  #starts = new Float64Array(16);
  #names: string[] = Array.from({ length: 16 }, () => '');
  #others: string[] = Array.from({ length: 16 }, () => '');
  #head = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** `false` when there are too many. */
  push(kind: number, text: number, start: number, name: string, other: string): boolean {
    if (this.#count === this.#kinds.length && !this.#grow()) return false;
    const at = (this.#head + this.#count) & (this.#kinds.length - 1);
    this.#kinds[at] = kind;
    this.#texts[at] = text;
    this.#starts[at] = start;
    this.#names[at] = name;
    this.#others[at] = other;
    this.#count += 1;
    return true;
  }

  /** Kind of the oldest; 0 when there is none. */
  get kind(): number {
    return this.#count === 0 ? 0 : (this.#kinds[this.#head] as number);
  }
  get text(): number {
    return this.#texts[this.#head] as number;
  }
  get start(): number {
    return this.#starts[this.#head] as number;
  }
  get name(): string {
    return this.#names[this.#head] as string;
  }
  get other(): string {
    return this.#others[this.#head] as string;
  }

  /** Takes away what waits behind the oldest when it is all of this kind, once or not at all; `false` when something else waits. */
  dropBehindHead(kind: number): boolean {
    if (this.#count > 2 || (this.#count === 2 && this.#kinds[(this.#head + 1) & (this.#kinds.length - 1)] !== kind)) return false;
    this.#count = Math.min(this.#count, 1);
    return true;
  }

  shift(): void {
    this.#head = (this.#head + 1) & (this.#kinds.length - 1);
    this.#count -= 1;
  }

  #grow(): boolean {
    const size = this.#kinds.length;
    if (size >= MOST) return false;
    const order = Array.from({ length: size }, (_, at) => (this.#head + at) & (size - 1));
    const kinds = new Uint8Array(size * 2);
    const texts = new Float64Array(size * 2);
    const starts = new Float64Array(size * 2);
    for (const [to, from] of order.entries()) {
      kinds[to] = this.#kinds[from] as number;
      texts[to] = this.#texts[from] as number;
      starts[to] = this.#starts[from] as number;
    }
    const blank = order.map(() => '');
    this.#names = [...order.map((from) => this.#names[from] as string), ...blank];
    this.#others = [...order.map((from) => this.#others[from] as string), ...blank];
    this.#kinds = kinds;
    this.#texts = texts;
    this.#starts = starts;
    this.#head = 0;
    return true;
  }
}
