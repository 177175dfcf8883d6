import { knowActor, type Actor } from '#app/actor.ts';
import type { App } from '#app/app.ts';
import type { RouteAccess } from '#contract/routes.ts';
import { Refusal } from '#domain/refusal.ts';

/** The first classification of every route, before its handler runs. @throws Refusal `forbidden`, `unauthenticated` */
export async function checkAccess(app: App, actor: Actor, access: RouteAccess): Promise<void> {
  if (access === 'public' || access === 'signed_in') return;
  const { principal } = await app.store.transaction((tx) => knowActor(tx, actor.id));
  // E09: what is for people is not for tokens and workloads, whatever groups they are in.
  if (principal.kind !== 'person') throw new Refusal('forbidden', 'only people may do this');
  if (access === 'administrator' && !principal.administrator) throw new Refusal('forbidden', 'only administrators may do this');
}
