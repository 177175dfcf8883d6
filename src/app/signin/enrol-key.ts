import { keyEnrolled } from '#domain/events/administration-events.ts';
import type { KeyId, PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Principal } from '#domain/principal.ts';
import { isDisabled, knowActor, knowPrincipal, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { Identity } from '../ports/identity.ts';
import type { EnrolledKey } from '../ports/credential-table.ts';
import type { Tx } from '../ports/store.ts';

export interface Enrolment {
  readonly publicKey: string;
  readonly label: string;
}

export interface Enrolled {
  readonly key: KeyId;
  readonly principal: Principal;
}

/**
 * Spends a one-time link and enrols the caller's key. Where somebody is expected, a link of another's stays unspent.
 * @throws Refusal `token_spent`, `invalid_input`, `conflict`
 */
export function signInByLink(app: App, identity: Identity, { link, principal: expected, ...enrolment }: Enrolment & { readonly link: string; readonly principal?: string | undefined }): Promise<Enrolled> {
  const verifier = identity.linkVerifier(link);
  const publicKey = identity.checkSigningKey(enrolment.publicKey);
  return app.store.transaction(async (tx) => {
    const spent = verifier && (await tx.credentials.spendLink(verifier, tx.now));
    if (!spent) throw new Refusal('token_spent', 'this sign-in link was used already, or is too old', { hint: 'An administrator issues a new one: brevet people link NAME' });
    if (expected !== undefined && expected !== spent.principal) throw new Refusal('conflict', "this sign-in link is somebody else's; it was not spent");
    return await enrol(app, tx, spent.principal, { ...enrolment, publicKey }, 'link', spent.issuedBy);
  });
}

/** @throws Refusal `unauthenticated`, the same for a wrong name and a wrong password, after the same work */
export async function signInByPassword(app: App, identity: Identity, name: string, password: string, enrolment: Enrolment): Promise<Enrolled> {
  const publicKey = identity.checkSigningKey(enrolment.publicKey);
  const found = await app.store.transaction(async (tx) => {
    const principal = await tx.principals.byName(name);
    return principal?.kind === 'person' ? { id: principal.id, password: await tx.principals.password(principal.id) } : null;
  });
  const right = await identity.verifyPassword(password, found?.password?.hash ?? null);
  if (!found || !right) throw new Refusal('unauthenticated', 'the name or the password is wrong');
  return await app.store.transaction((tx) => enrol(app, tx, found.id, { ...enrolment, publicKey }, 'password', found.password?.issuedBy ?? null));
}

/** An administrator enrols a workload's public key; its private key never comes here. @throws Refusal `forbidden`, `not_found` */
export function enrolWorkloadKey(app: App, identity: Identity, actor: Actor, name: string, enrolment: Enrolment): Promise<Enrolled> {
  const publicKey = identity.checkSigningKey(enrolment.publicKey);
  return app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    const workload = await tx.principals.byName(name);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators enrol keys of workloads');
    if (workload?.kind !== 'workload') throw new Refusal('not_found', `there is no workload "${name}"`);
    return await enrol(app, tx, workload.id, { ...enrolment, publicKey }, 'administrator', actor.id);
  });
}

async function enrol(app: App, tx: Tx, id: PrincipalId, { publicKey, label }: Enrolment, method: EnrolledKey['signInMethod'], issuedBy: PrincipalId | null): Promise<Enrolled> {
  const known = await knowPrincipal(tx, id);
  if (!known || isDisabled(known)) throw new Refusal('unauthenticated', 'this identity is disabled');
  if (await tx.credentials.keyByPublicKey(publicKey)) throw new Refusal('conflict', 'this key is enrolled already', { hint: 'Make a new key for each sign-in: brevet login does.' });
  const key: EnrolledKey = {
    id: app.newId('key', tx.now), principal: id, label, publicKey, createdAt: tx.now, signedInAt: tx.now, signInMethod: method, issuedBy, lastUsedAt: null, revokedAt: null,
  };
  await tx.credentials.insertKey(key);
  await tx.log(keyEnrolled(id, key.id, method, label));
  return { key: key.id, principal: known.principal };
}
