import { linkIssued } from '#domain/events/administration-events.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { Identity } from '../ports/identity.ts';
import type { Tx } from '../ports/store.ts';

const LINK_SECONDS = 24 * 3600;

export interface IssuedLink {
  readonly secret: string;
  readonly expiresAt: Date;
}

/** A one-time secret with which a person enrols a key. @throws Refusal `forbidden`, `not_found` */
export function issueLink(app: App, identity: Identity, actor: Actor, name: string): Promise<IssuedLink> {
  return app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators issue sign-in links');
    return await issueLinkIn(tx, identity, name, actor.id);
  });
}

/** The same without an actor: for the first administrator, by whoever can start the server on its data. */
export async function issueLinkIn(tx: Tx, identity: Identity, name: string, by: Actor['id'] | 'system'): Promise<IssuedLink> {
  const principal = await tx.principals.byName(name);
  if (principal?.kind !== 'person' || principal.disabledAt !== null) throw new Refusal('not_found', `there is no enabled person "${name}"`);
  const { secret, verifier } = identity.newSignInLink();
  const expiresAt = new Date(tx.now.getTime() + LINK_SECONDS * 1000);
  await tx.credentials.insertLink(verifier, principal.id, by === 'system' ? null : by, tx.now, expiresAt);
  await tx.log(linkIssued(principal.id, by));
  return { secret, expiresAt };
}
