import { requestCancelled } from '#domain/events/request-events.ts';
import type { RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { isOwn } from './visibility.ts';

/** The requester, their owner or the person it was asked for withdraws what is still pending. @throws Refusal `not_found`, `wrong_state` */
export function cancelRequest(app: App, actor: Actor, id: RequestId): Promise<AccessRequest> {
  return app.store.transaction(async (tx) => {
    await knowActor(tx, actor.id);
    const request = await tx.requests.lock(id);
    const requester = request && (await tx.principals.byId(request.principal));
    if (!request || !isOwn(actor.id, request, requester?.owner ?? null)) throw new Refusal('not_found', 'there is no such request of yours');
    if (request.state !== 'pending') {
      throw new Refusal('wrong_state', `the request is already ${request.state}`, { hint: 'To give access back: brevet finish GRANT' });
    }
    await tx.requests.decide(id, 'cancelled', tx.now, null);
    await tx.log(requestCancelled(request, actor.id));
    await tx.notify('requests', id);
    return { ...request, state: 'cancelled', decidedAt: tx.now };
  });
}
