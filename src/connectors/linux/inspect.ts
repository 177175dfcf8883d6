import type { Probe, StandingPrivilege, TargetAccess } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';
import { openHost } from './connect.ts';
import { POWERFUL_GROUPS } from './dangers.ts';
import { hostScript } from './host-script.ts';
import { groundValues } from './marker.ts';
import { objectOf } from './names.ts';
import type { Tools } from './tools.ts';

/**
 * One attempt to sign in within 3 s. A host that answers and refuses is reachable, with `problem` saying what it said: a full
 * attempt will meet the same refusal and report it as such.
 */
export async function probe(target: TargetAccess, tools: Tools): Promise<Probe> {
  const began = tools.now().getTime();
  try {
    const half = Math.min(tools.timeouts.connect, 1500);
    await using session = await openHost(target, { ...tools.timeouts, connect: half, signIn: 2 * half });
    const before = tools.now().getTime();
    const rest = Math.max(1, began + 3000 - before);
    const cut = setTimeout(() => void session[Symbol.asyncDispose](), rest);
    const { facts } = await session.run(hostScript('probe', groundValues(session.config, tools))).finally(() => clearTimeout(cut));
    const after = tools.now().getTime();
    const theirs = Number(facts['milliseconds']);
    // The answer was made about half a round trip ago.
    const skewMs = /^\d{13}$/.test(facts['milliseconds'] ?? '') ? Math.round(theirs - (before + after) / 2) : null;
    return { reachable: true, skewMs, version: plainText(`${facts['system'] ?? ''}, ${session.server}`).slice(0, 120), problem: null, hint: null };
  } catch (error) {
    const refusal = error instanceof Refusal ? error : null;
    return { reachable: refusal?.code === 'target_refused', skewMs: null, version: null, problem: refusal?.message ?? 'the probe failed', hint: refusal?.details.hint ?? null };
  }
}

/** Who is root, or can become it, with no grant: by number, by group, by sudo. */
export async function listStanding(target: TargetAccess, tools: Tools): Promise<readonly StandingPrivilege[]> {
  await using session = await openHost(target, tools.timeouts);
  const { rows } = await session.run(hostScript('list_standing', { ...groundValues(session.config, tools), POWERFUL: POWERFUL_GROUPS.join(' ') }));
  const found = rows.flatMap(([kind, first, second]): StandingPrivilege[] => {
    if (kind === 'standing') return [{ account: first, privilege: second, on: 'host' }];
    if (kind !== 'sudoers') return [];
    const [, account = '', rule = ''] = /^\s*(\S+)\s+(.*)$/.exec(first) ?? [];
    return [{ account, privilege: `sudo: ${rule}`, on: second }];
  });
  const others = found.filter(({ account }) => account !== session.config.user && objectOf(account) === null);
  return [...new Map(others.map((one) => [JSON.stringify(one), one])).values()];
}
