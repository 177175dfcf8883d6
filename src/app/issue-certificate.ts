import type { GrantId, KeyId } from '#domain/id.ts';
import { certificateIssued } from '#domain/events/credential-events.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import type { Authority, IssuedCertificate } from './ports/identity.ts';

const CERTIFICATE_SECONDS = 8 * 3600;

/**
 * A short-lived client certificate for the caller's own key. It says who somebody is, never what they may do: the gate
 * asks for the grant at every session. Bound to a grant, it ends with it (B02). @throws Refusal `not_found`, `no_active_grant`
 */
export async function issueCertificate(app: App, authority: Authority, actor: Actor, publicKey: string, grantId: GrantId | null): Promise<IssuedCertificate> {
  const { now, until } = await app.store.transaction(async (tx) => {
    await knowActor(tx, actor.id);
    const grant = grantId === null ? null : await tx.grants.byId(grantId);
    if (grantId !== null && grant?.principal !== actor.id) throw new Refusal('not_found', 'there is no such grant of yours');
    if (grant && (grant.state !== 'active' || !grant.deadline)) throw new Refusal('no_active_grant', `the grant is ${grant.state}`);
    return { now: tx.now, until: grant?.deadline ?? null };
  });
  // X.509 counts whole seconds: rounded down, so that it never lives past the grant.
  const seconds = until === null ? CERTIFICATE_SECONDS : Math.min(CERTIFICATE_SECONDS, Math.floor((until.getTime() - now.getTime()) / 1000));
  if (seconds < 1) throw new Refusal('no_active_grant', 'the grant has come to its deadline');
  const issued = authority.issueClient({ principal: actor.id, grant: grantId, publicKey, now, seconds });
  await app.store.transaction(async (tx) => {
    await tx.principals.lock(actor.id);
    await knowActor(tx, actor.id);
    const key = await tx.credentials.key(actor.authentication.by as KeyId);
    if (key?.revokedAt !== null) throw new Refusal('unauthenticated', 'the key was revoked meanwhile', { hint: 'Sign in: brevet login' });
    await tx.credentials.insertCertificate({ fingerprint: issued.fingerprint, principal: actor.id, grant: grantId, createdAt: now, notAfter: issued.notAfter });
    await tx.log(certificateIssued(actor.id, grantId, issued.fingerprint, issued.notAfter));
  });
  return issued;
}
