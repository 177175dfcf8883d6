import { BadRule, type ByteSet, type Pattern } from './mask-pattern.ts';

/**
 * One deterministic automaton for all expressions of a rule list: a step of a table for each byte, whatever the expressions are. It is
 * made whole when rules are loaded; a list that would need too many states is refused then, and never slow later.
 */
export interface Automaton {
  /** The state behind `state` and `byte` stands at `state * 256 + byte`. State 0 is the first one. */
  readonly next: Uint16Array;
  /** The first expression that ends in a state, -1 for none. */
  readonly ends: Int16Array;
  /** States from this one on are those in which one ends: a comparison says so, without a look at the table. */
  readonly firstEnd: number;
}

const MOST_STATES = 4096;
const MOST_STEPS = 20_000;
/** Steps looked at while it is made. */
const MOST_WORK = 5_000_000;

/** A state of the nondeterministic automaton: waits for a byte of `set`, or goes on at once. */
interface Step {
  readonly set: ByteSet | null;
  readonly to: number[];
  readonly ends: number;
}

export function buildAutomaton(patterns: readonly Pattern[]): Automaton {
  const steps: Step[] = [];
  const starts = patterns.map((pattern, at) => compile(steps, pattern, add(steps, { set: null, to: [], ends: at })));
  return determine(steps, starts);
}

function add(steps: Step[], step: Step): number {
  if (steps.length >= MOST_STEPS) throw new BadRule('the rules are too large together');
  return steps.push(step) - 1;
}

/** Answers the step that a pattern begins with, when `next` comes behind it. */
function compile(steps: Step[], pattern: Pattern, next: number): number {
  switch (pattern.type) {
    case 'set':
      return add(steps, { set: pattern.set, to: [next], ends: -1 });
    case 'all':
      return pattern.of.reduceRight((behind, part) => compile(steps, part, behind), next);
    case 'one':
      return add(steps, { set: null, to: pattern.of.map((part) => compile(steps, part, next)), ends: -1 });
    case 'repeat': {
      let start = add(steps, { set: null, to: [next], ends: -1 });
      if (pattern.most === Infinity) {
        const loop: Step = { set: null, to: [start], ends: -1 };
        start = add(steps, loop);
        loop.to.push(compile(steps, pattern.of, start));
      } else {
        for (let n = pattern.least; n < pattern.most; n++) start = add(steps, { set: null, to: [next, compile(steps, pattern.of, start)], ends: -1 });
      }
      for (let n = 0; n < pattern.least; n++) start = compile(steps, pattern.of, start);
      return start;
    }
  }
}

/** Every byte may begin a match: the first steps belong to each state. */
function determine(steps: readonly Step[], starts: readonly number[]): Automaton {
  const classes = byteClasses(steps);
  const accepted = steps.map(({ set }) => (set === null ? [] : [...classes.keys()].filter((at) => set[classes[at]?.[0] as number])));
  const reached = steps.map(({ set, to }) => (set === null ? [] : closure(steps, to)));
  const start = closure(steps, starts);
  const ids = new Map<string, number>();
  const states: (readonly number[])[] = [];
  const idOf = (set: readonly number[]): number => {
    const key = String.fromCharCode(...set);
    const known = ids.get(key);
    if (known !== undefined) return known;
    if (states.length >= MOST_STATES || set.length > MOST_STATES) throw new BadRule(`the rules need more than ${MOST_STATES} states: count less, in fewer rules`);
    ids.set(key, states.length);
    return states.push(set) - 1;
  };
  idOf(start);
  const rows: Uint16Array[] = [];
  let work = 0;
  for (let at = 0; at < states.length; at++) {
    const behind = classes.map(() => new Set(start));
    for (const step of states[at] as readonly number[]) {
      const to = reached[step] as readonly number[];
      for (const one of accepted[step] as readonly number[]) for (const next of to) behind[one]?.add(next);
      work += to.length * (accepted[step] as readonly number[]).length + start.length;
    }
    if (work > MOST_WORK) throw new BadRule('the rules are too large together');
    const row = new Uint16Array(256);
    for (const [one, bytes] of classes.entries()) {
      const set = behind[one] as Set<number>;
      const id = set.size === start.length ? 0 : idOf([...set].sort((a, b) => a - b));
      for (const byte of bytes) row[byte] = id;
    }
    rows.push(row);
  }
  const found = states.map((set) => {
    const rules = set.map((step) => (steps[step] as Step).ends).filter((rule) => rule >= 0);
    return rules.length === 0 ? -1 : Math.min(...rules);
  });
  return inOrder(rows, found);
}

/** Puts the states in which an expression ends behind the others. */
function inOrder(rows: readonly Uint16Array[], found: readonly number[]): Automaton {
  const order = [...found.keys()].sort((a, b) => Number((found[a] as number) >= 0) - Number((found[b] as number) >= 0));
  const places = new Uint16Array(order.length);
  for (const [place, state] of order.entries()) places[state] = place;
  const next = new Uint16Array(order.length * 256);
  for (const [place, state] of order.entries()) {
    for (const [byte, to] of (rows[state] as Uint16Array).entries()) next[place * 256 + byte] = places[to] as number;
  }
  const ends = Int16Array.from(order, (state) => found[state] as number);
  const first = ends.findIndex((rule) => rule >= 0);
  return { next, ends, firstEnd: first < 0 ? ends.length : first };
}

/** What is reached without a byte, in order; only steps that wait for one or end a rule. */
function closure(steps: readonly Step[], from: readonly number[]): readonly number[] {
  const seen = new Set<number>();
  const open = [...from];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (seen.has(step)) continue;
    seen.add(step);
    const { set, to } = steps[step] as Step;
    if (set === null) open.push(...to);
  }
  return [...seen].filter((step) => (steps[step] as Step).set !== null || (steps[step] as Step).ends >= 0).sort((a, b) => a - b);
}

/** Bytes that no set tells apart are looked at once. */
function byteClasses(steps: readonly Step[]): readonly (readonly number[])[] {
  const sets = [...new Set(steps.flatMap(({ set }) => (set === null ? [] : [Buffer.from(set).toString('latin1')])))];
  const classes = new Map<string, number[]>();
  for (let byte = 0; byte < 256; byte++) {
    const key = sets.map((set) => set.charCodeAt(byte)).join('');
    const members = classes.get(key);
    if (members) members.push(byte);
    else classes.set(key, [byte]);
  }
  return [...classes.values()];
}
