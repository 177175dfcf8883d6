import { formatDuration, type Seconds } from '#domain/duration.ts';
import { grantExtended } from '#domain/events/grant-events.ts';
import type { PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Tx } from './ports/store.ts';

/**
 * Moves a live grant's deadline: an approved extension's own act. What is left may never exceed the entitlement's
 * maximum, so that extending again and again is no standing right (B01).
 * @throws Refusal `wrong_state` when the deadline came before the decision did
 */
export async function extendGrant(tx: Tx, request: AccessRequest, seconds: Seconds, actor: PrincipalId | 'system'): Promise<void> {
  const grant = request.extendsGrant === null ? null : await tx.grants.lock(request.extendsGrant);
  if (!grant || grant.state !== 'active' || grant.deadline === null || grant.deadline <= tx.now) {
    throw new Refusal('wrong_state', 'the grant ended before the extension was decided', { hint: 'Ask for it anew: brevet request' });
  }
  const longest = new Date(tx.now.getTime() + grant.entitlement.maxDuration * 1000);
  const asked = new Date(grant.deadline.getTime() + seconds * 1000);
  const deadline = asked < longest ? asked : longest;
  if (deadline <= grant.deadline) {
    throw new Refusal('duration_too_long', `the grant already runs as long as ${formatDuration(grant.entitlement.maxDuration)} allows`);
  }
  await tx.grants.update({ ...grant, deadline });
  await tx.log(grantExtended(grant, request.id, deadline, actor));
  // The target's own expiry follows; open sessions learn of the new deadline at once.
  for (const part of await tx.parts.ofGrant(grant.id)) await tx.parts.due(part.id, 'provision', tx.now);
  await tx.notify('work');
  await tx.notify('sessions', grant.id);
}
