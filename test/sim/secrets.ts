import { SealBroken, type Secrets } from '#app/ports/secrets.ts';
import type { Authority, Identity } from '#app/ports/identity.ts';
import { SECRET } from './connector.ts';
import type { Rng } from './random.ts';

/** The one root key there is: no other comes into force here. */
export const ROOT_KEY = '5a'.repeat(8);
const HEADER = Buffer.concat([Buffer.of(1), Buffer.from(ROOT_KEY, 'hex')]);

/** What a value is that was sealed here, and whose. */
export const valueIn = (sealed: Uint8Array): [of: string, value: string] => JSON.parse(Buffer.from(sealed.subarray(HEADER.length)).toString('utf8')) as [string, string];

/** Seals by writing beside the value whose it is. What matters here: it opens for nobody else, and the provider may be down. */
export function simSecrets(keysDown: () => boolean): Secrets {
  const seal = (plain: Uint8Array | string, identity: string) => Buffer.concat([HEADER, Buffer.from(JSON.stringify([identity, Buffer.from(plain).toString('base64')]))]);
  const open = (sealed: Uint8Array, identity: string): Uint8Array => {
    const [of, value] = valueIn(sealed);
    if (of !== identity) throw new SealBroken('not_authentic', identity);
    return Buffer.from(value, 'base64');
  };
  return {
    seal,
    open,
    openText: (sealed, identity) => Buffer.from(open(sealed, identity)).toString('utf8'),
    needsRewrap: () => false,
    rewrap: (sealed) => sealed,
    newSubjectKey: (subject) => seal('key', `subjects/${subject}/key`),
    sealPersonal: (subject, key, personal, entry) => {
      if (keysDown()) throw new Error('the key provider does not answer');
      open(key, `subjects/${subject}/key`);
      return seal(JSON.stringify(personal), entry);
    },
    openPersonal: (_, __, sealed, entry) => JSON.parse(Buffer.from(open(sealed, entry)).toString('utf8')) as Record<string, string>,
  };
}

const verifier = { iterations: 4096, salt: '', storedKey: '', serverKey: '' };
const never = () => {
  throw new Error('nobody asks for this here');
};

export function simIdentity(rng: Rng): Identity {
  return {
    newConnectionToken: () => {
      const handle = Buffer.from(rng.bytes(8)).toString('hex');
      return { handle, secret: `${SECRET}${handle}`, verifier };
    },
    madeUpVerifier: () => verifier,
    newSignInLink: never, linkVerifier: never, hashPassword: never, verifyPassword: never, checkSigningKey: never,
  };
}

export function simAuthority(rng: Rng): Authority {
  return {
    certificate: '',
    issueClient: ({ now, seconds }) => ({ certificate: '', fingerprint: Buffer.from(rng.bytes(16)).toString('hex'), notAfter: new Date(now.getTime() + seconds * 1000) }),
  };
}
