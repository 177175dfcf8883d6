import type { GrantPart } from '#domain/grant.ts';
import type { JsonObject } from '#domain/json.ts';

/** What a failed attempt is told as, and what to do about it. */
export interface PartProblem {
  readonly lastError: string;
  readonly nextStep: string;
}

/** For those who may know of the grant and do not run the target: what it is, in words of ours, by the refusal's code. */
const PLAIN: Readonly<Record<string, string>> = {
  target_unreachable: 'the target does not answer',
  target_refused: 'the target answers, and refuses what this access needs',
  dangerous_scope: 'what was asked for is more than Brevet gives on this target',
  invalid_input: "the entitlement does not fit the target's setup",
  unsupported: 'the target is not able to do this',
  not_found: 'something that the entitlement names does not exist on the target',
  clock_skew: "the target's clock is wrong, and nothing is granted on it until it is right",
  conflict: 'another server is at work on it',
  unavailable: 'Brevet itself could not do it just now',
};
const UNKNOWN = 'it failed, and Brevet does not know why';

const FOR_ADMINISTRATORS: Readonly<Record<string, string>> = {
  target_unreachable: 'Run brevet doctor: it signs in to the target and says what is wrong. It is tried again by itself.',
  clock_skew: "Set the target's clock, by NTP; it is tried again by itself.",
  conflict: 'Nothing: it is tried again by itself.',
  internal: "The server's journal has more; it is tried again by itself.",
};
const LOOK = "Run brevet doctor: it says what Brevet's role lacks on the target, for each entitlement, with the SQL that mends it.";

/**
 * Administrators read what the target said. To everybody else that would tell of the inside of a server that they may not
 * even sign in to: names of roles and objects, addresses, versions. They get the code and our words for it.
 */
export function presentProblem({ grant, lastError, work }: Pick<GrantPart, 'grant' | 'lastError' | 'work'>, toAdministrator: boolean): PartProblem | null {
  if (lastError === null) return null;
  const code = /^[a-z_]+(?=: )/.exec(lastError)?.[0] ?? 'internal';
  const repeated = work !== null;
  if (toAdministrator) return { lastError, nextStep: (repeated ? FOR_ADMINISTRATORS[code] : undefined) ?? LOOK };
  return {
    lastError: `${code}: ${PLAIN[code] ?? UNKNOWN}`,
    nextStep: repeated && code === 'conflict' ? 'Nothing: it is tried again by itself.' : `Tell an administrator of Brevet: brevet show ${grant} tells them what the target said.`,
  };
}

/** What of an attempt's evidence is in the target's words. */
const QUOTED = ['problem', 'problems', 'settingsLeft'];

/** What was read back on the target, without what only administrators are told. */
export function presentEvidence({ evidence }: Pick<GrantPart, 'evidence'>, toAdministrator: boolean): JsonObject | null {
  if (evidence === null || toAdministrator) return evidence;
  return Object.fromEntries(Object.entries(evidence).filter(([name]) => !QUOTED.includes(name)));
}
