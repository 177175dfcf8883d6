import { grantScheduled } from '#domain/events/grant-events.ts';
import { ACTIVATION_WINDOW, objectName, type Grant, type GrantPart } from '#domain/grant.ts';
import type { PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import { agreedDuration, agreedScope, type Review } from '#domain/review.ts';
import type { App } from './app.ts';
import { extendGrant } from './extend-grant.ts';
import type { Tx } from './ports/store.ts';

/**
 * An approved request becomes a grant: the intent, with its parts and the names of what will be made, is in the store
 * before any target is touched. An approved extension moves a deadline instead. Belongs to the deciding transaction.
 */
export async function becomeGrant(app: App, tx: Tx, request: AccessRequest, reviews: readonly Review[], actor: PrincipalId | 'system'): Promise<void> {
  if (request.extendsGrant !== null) {
    await extendGrant(tx, request, agreedDuration(request, reviews), actor);
    return;
  }
  const startAt = request.startAt !== null && request.startAt > tx.now ? request.startAt : tx.now;
  const id = app.newId('grant', tx.now);
  const grant: Grant = {
    id,
    request: request.id,
    principal: request.principal,
    onBehalfOf: request.onBehalfOf,
    entitlementId: request.entitlementId,
    entitlement: request.entitlement,
    state: 'scheduled',
    durationSeconds: agreedDuration(request, reviews),
    createdAt: tx.now,
    startAt,
    activateBy: new Date(startAt.getTime() + ACTIVATION_WINDOW * 1000),
    activatedAt: null,
    deadline: null,
    revokeDueAt: null,
    endReason: null,
    endedAt: null,
    overdueAt: null,
  };
  // Held since before the request was: a disabling that runs at the same time either sees this grant or is seen here (B13).
  const holder = await tx.principals.lock(request.principal);
  if (!holder || holder.disabledAt !== null) throw new Refusal('wrong_state', 'the requester is disabled');
  const requester = request.onBehalfOf === null ? holder : await tx.principals.byId(request.onBehalfOf);
  const parts = request.entitlement.parts.map((part, ordinal): GrantPart => {
    const scope = agreedScope(ordinal, part.scope, reviews);
    return {
      id: app.newId('part', tx.now),
      grant: id,
      ordinal,
      target: part.target,
      kind: part.kind,
      scope,
      objectName: objectName(id, ordinal),
      account: part.kind === 'ephemeral_account' ? null : accountOf(part.account, requester?.name),
      state: 'planned',
      deadline: null,
      prior: null,
      evidence: null,
      work: null,
      dueAt: null,
      fence: 0,
      attempts: 0,
      lastError: null,
    };
  });
  await tx.grants.insert(grant);
  for (const part of parts) await tx.parts.insert(part);
  await tx.log(grantScheduled(grant, parts, actor));
  await tx.notify('work', 'advance');
}

function accountOf(pattern: string | null, name: string | undefined): string {
  if (pattern === null || name === undefined) throw new Refusal('invalid_configuration', 'this kind of grant needs an account on the target');
  return pattern.replaceAll('{name}', name);
}
