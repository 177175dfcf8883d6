import type { App } from '#app/app.ts';
import { ownKeyIdentity } from '#app/ports/sealed-identity.ts';
import { SealBroken, type SecretIdentity } from '#app/ports/secrets.ts';
import { Refusal } from '#domain/refusal.ts';
import { makeAuthority, openAuthority, type CertificateAuthority } from '#signin/certificate-authority.ts';
import { formatSignerKey, parseSignerKey, type NoteSigner } from '#log/signed-note.ts';
import { random } from './runtime.ts';

type Keeper = Pick<App, 'store' | 'secrets'>;

/** Brevet's own keys: made once by the first of any number of servers, kept sealed in the store. */
export interface OwnKeys {
  readonly logSigner: NoteSigner;
  readonly authority: CertificateAuthority;
  /** Makes up what unknown connection tokens are challenged with. */
  readonly challenge: Uint8Array;
  /** Which Brevet this is, in the marks on targets. No secret; sealed, so that a row put in its place is noticed. */
  readonly installation: string;
}

export async function openOwnKeys(app: Keeper, origin: string): Promise<OwnKeys> {
  const logKey = await own(app, 'log', () => ({ secret: formatSignerKey(origin, random.bytes(32)), public: origin }));
  const authority = await own(app, 'authority', (now) => {
    const made = makeAuthority(now, random);
    return { secret: made.privateKey, public: made.certificate };
  });
  const challenge = await own(app, 'challenge', () => ({ secret: Buffer.from(random.bytes(32)).toString('base64'), public: '' }));
  const installation = await own(app, 'installation', () => ({ secret: Buffer.from(random.bytes(8)).toString('hex'), public: '' }));
  return {
    installation: installation.secret,
    logSigner: parseSignerKey(logKey.secret),
    authority: openAuthority({ certificate: authority.public, privateKey: authority.secret }, random),
    challenge: Buffer.from(challenge.secret, 'base64'),
  };
}

async function own(app: Keeper, name: string, make: (now: Date) => { secret: string; public: string }): Promise<{ secret: string; public: string }> {
  const identity = ownKeyIdentity(name);
  const kept = await app.store.transaction(async (tx) => {
    const held = await tx.credentials.ownKey(name);
    if (held) return held;
    const made = make(tx.now);
    return await tx.credentials.keepOwnKey(name, app.secrets.seal(made.secret, identity), made.public, tx.now);
  });
  return { secret: openOwn(app, kept.sealed, identity), public: kept.public };
}

/** The first thing that is ever opened: with the key of another installation the start ends here, in plain words. */
function openOwn(app: Keeper, sealed: Uint8Array, identity: SecretIdentity): string {
  try {
    return app.secrets.openText(sealed, identity);
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw new Refusal('invalid_configuration', 'the root key does not open what this database holds: it is the key of another installation, or an old one', {
      hint: 'Put back the root key that belongs to this database (root.key and, after rotations, root.key.2 ...).',
    });
  }
}
