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
}

const MOST_STATES = 4096;
const MOST_STEPS = 20_000;
/** Steps looked at while it is made. */
const MOST_WORK = 20_000_000;

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
  const ids = new Map<string, number>();
  const states: (readonly number[])[] = [];
  const idOf = (set: readonly number[]): number => {
    const key = set.join();
    const known = ids.get(key);
    if (known !== undefined) return known;
    if (states.length >= MOST_STATES) throw new BadRule(`the rules need more than ${MOST_STATES} states: count less, in fewer rules`);
    ids.set(key, states.length);
    return states.push(set) - 1;
  };
  idOf(closure(steps, starts));
  const rows: Uint16Array[] = [];
  let work = 0;
  for (let at = 0; at < states.length; at++) {
    const waiting = (states[at] as readonly number[]).map((step) => steps[step] as Step).filter(({ set }) => set !== null);
    const row = new Uint16Array(256);
    for (const { bytes } of classes) {
      const reached = waiting.flatMap(({ set, to }) => (set?.[bytes[0] as number] ? to : []));
      work += waiting.length + starts.length;
      if (work > MOST_WORK) throw new BadRule('the rules are too large together');
      const id = idOf(closure(steps, [...starts, ...reached]));
      for (const byte of bytes) row[byte] = id;
    }
    rows.push(row);
  }
  const next = new Uint16Array(states.length * 256);
  for (const [at, row] of rows.entries()) next.set(row, at * 256);
  const ends = Int16Array.from(states, (set) => {
    const rules = set.map((step) => (steps[step] as Step).ends).filter((rule) => rule >= 0);
    return rules.length === 0 ? -1 : Math.min(...rules);
  });
  return { next, ends };
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
function byteClasses(steps: readonly Step[]): readonly { readonly bytes: readonly number[] }[] {
  const sets = [...new Set(steps.flatMap(({ set }) => (set === null ? [] : [Buffer.from(set).toString('latin1')])))];
  const classes = new Map<string, number[]>();
  for (let byte = 0; byte < 256; byte++) {
    const key = sets.map((set) => set.charCodeAt(byte)).join('');
    const members = classes.get(key);
    if (members) members.push(byte);
    else classes.set(key, [byte]);
  }
  return [...classes.values()].map((bytes) => ({ bytes }));
}
