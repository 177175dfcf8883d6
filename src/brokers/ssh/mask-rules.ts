import { buildAutomaton, type Automaton } from './mask-automaton.ts';
import { BadRule, readPattern, readRun, type ByteSet } from './mask-pattern.ts';

/**
 * A secret is told by what stands before it: where `after` has matched, a run of characters as `hide` says is replaced. What
 * matched `after` stays, so that a reader sees what kind of secret was there. With `before` it is hidden only if such a character follows.
 */
export interface MaskRule {
  readonly name: string;
  readonly after: string;
  readonly hide: string;
  readonly before?: string;
}

export interface Hide {
  readonly set: ByteSet;
  readonly least: number;
  readonly most: number;
  readonly before: ByteSet | null;
}

/** Rules made ready: shared by all sessions that have the same. */
export interface MaskRules {
  readonly automaton: Automaton;
  readonly hides: readonly Hide[];
}

/**
 * A secret of which so many bytes came is hidden as it comes; fewer are held until it is known whether it is one. Text behind
 * the most is shown again: what is hidden at once is bounded, or a session could hide what it likes behind a single `password=`.
 */
const MOST_HELD = 128;
const MOST_HIDDEN = 16 * 1024;
const MOST_RULES = 200;

const VALUE = '[^\\x00-\\x20"\'&\\x7f]{1,256}';

/** What is masked unless told otherwise. */
export const USUAL_RULES: readonly MaskRule[] = [
  // Base64 and line ends: whatever is typed or printed behind an unfinished key has other characters, and is shown.
  { name: 'private key', after: '-----BEGIN [0-9A-Z ]*PRIVATE KEY( BLOCK)?-----', hide: '[0-9A-Za-z+/=\\r\\n]{1,16384}' },
  { name: 'private key with PEM headers', after: 'DEK-Info: [0-9A-Z-]+,', hide: '[0-9A-Za-z+/=\\r\\n]{1,16384}' },
  { name: 'PuTTY key', after: 'Private-Lines: [0-9]+\\r?\\n', hide: '[0-9A-Za-z+/=\\r\\n]{1,16384}' },
  { name: 'AWS access key', after: '(AKIA|ASIA)', hide: '[0-9A-Z]{16}' },
  { name: 'GitHub token', after: '(gh[opusr]_|github_pat_)', hide: '[0-9A-Za-z_]{36,255}' },
  { name: 'GitLab token', after: 'glpat-', hide: '[0-9A-Za-z_-]{20,255}' },
  { name: 'Slack token', after: 'xox[abeoprs]-', hide: '[0-9A-Za-z-]{10,255}' },
  { name: 'Google API key', after: 'AIza', hide: '[0-9A-Za-z_-]{35}' },
  { name: 'Stripe key', after: '(sk|rk)_live_', hide: '[0-9A-Za-z]{16,255}' },
  { name: 'JSON web token', after: 'eyJ', hide: '[0-9A-Za-z_.-]{40,4096}' },
  { name: 'authorization header', after: '(?i)authorization["\']?:[ \\t]*["\']?(basic|bearer|token)[ \\t]+', hide: '[0-9A-Za-z._~+/=-]{4,4096}' },
  { name: 'assignment', after: '(?i)(passw(or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key)["\']?[ \\t]*=[ \\t]*["\']?', hide: VALUE },
  { name: 'password of a YAML or JSON text', after: '(?i)(password|passphrase|secret)["\']?:[ \\t]*["\']?', hide: VALUE },
  { name: 'password in a URL', after: '://[0-9A-Za-z._%+-]*:', hide: '[^\\x00-\\x20"\'/@]{1,127}', before: '[@]' },
];

/** @throws BadRule when an expression is wrong, or a rule could cost more than it may */
export function readRules(rules: readonly MaskRule[]): MaskRules {
  if (rules.length > MOST_RULES) throw new BadRule(`at most ${MOST_RULES} rules`);
  const hides = rules.map((rule): Hide => {
    const { set, least, most } = readRun(rule.hide);
    const before = rule.before === undefined ? null : readRun(`${rule.before}{1}`).set;
    if (least > MOST_HELD || (before !== null && most > MOST_HELD)) throw new BadRule(`${rule.name}: whether something is a secret must be known within ${MOST_HELD} characters`);
    return { set, least, most: Math.min(most, MOST_HIDDEN), before };
  });
  const automaton = buildAutomaton(rules.map(({ after }) => readPattern(after)));
  if ((automaton.ends[0] ?? -1) >= 0) throw new BadRule('a rule whose "after" matches nothing at all would hide everything');
  return { automaton, hides };
}
