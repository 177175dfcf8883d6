import { grantRevoking, partAbsent } from '#domain/events/grant-events.ts';
import type { Grant } from '#domain/grant.ts';
import type { PrincipalId } from '#domain/id.ts';
import type { EndReason } from '#domain/lifecycle.ts';
import type { Tx } from './ports/store.ts';

/**
 * Starts the end of grants that are locked and have not begun to end: from here on nothing brings them back. Their
 * sessions are told to end now, their parts are due for removal now. Answers how many it took. `policies`: the ids of those
 * that decided it.
 */
export async function takeAway(tx: Tx, grants: readonly Grant[], reason: EndReason, actor: PrincipalId | 'system', note: string | null, policies: readonly string[] = []): Promise<number> {
  const live = grants.filter((grant) => grant.state !== 'revoking' && grant.state !== 'ended');
  if (live.length === 0) return 0;
  const untouched = await tx.grants.revokeAll(live.map((grant) => grant.id), reason, tx.now);
  for (const grant of live) await tx.log(grantRevoking(grant, reason, actor, note, policies));
  const byId = new Map(live.map((grant) => [grant.id, grant]));
  for (const part of untouched) {
    const grant = byId.get(part.grant);
    if (grant) await tx.log(partAbsent(grant, part, { untouched: true }, []));
  }
  await tx.notify('work');
  await tx.notify('sessions');
  return live.length;
}
