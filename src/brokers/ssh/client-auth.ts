import { createHash } from 'node:crypto';
import type { AuthContext, PublicKeyAuthContext } from 'ssh2';
import type { ClientProof } from '#app/ports/gate.ts';
import { CERTIFICATE_SUFFIX, readCertificate } from '#contract/ssh/certificate.ts';
import { mayComeFrom } from '#contract/ssh/restrictions.ts';
import { provesPossession, verifyUserCertificate, type CertificateFault, type UserCertificate } from '#contract/ssh/verify-certificate.ts';
import { Malformed } from '#contract/ssh/wire.ts';
import { isId } from '#domain/id.ts';
import { hangUp } from '../carried/hang-up.ts';
import type { Words } from '../carried/words.ts';
import { ClientGone, type Visitor } from './doorway.ts';
import { lineOf } from './speech.ts';

/** Keys and methods that a client may try, those that it only asks about included. An agent may hold many. */
const MOST_TRIES = 20;
/** How long a client that was refused has to go by itself. */
const REFUSED_MS = 2_000;

export interface Proven {
  readonly proof: ClientProof;
  readonly user: string;
  /** What the certificate allows at most, whatever a grant does. */
  readonly allows: { readonly pty: boolean; readonly forwarding: boolean };
  /** Signs the client in. */
  accept(): void;
  /** Tells the client why it is not let in. */
  refuse(words: Words): void;
}

export interface Examiner {
  readonly authorities: readonly Uint8Array[];
  readonly address: string;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** A certificate that is not accepted; `why` may hold what a stranger wrote. */
  readonly refused: (fault: CertificateFault | 'restricted', why: string) => void;
}

/**
 * Waits until the client has proved that it holds a user certificate of Brevet's and its key. The certificate has one principal, the id
 * of the person or workload: certificates of the same authority for targets, whose principals are roles there, open nothing here.
 * The client hears nothing of it yet. @throws ClientGone
 */
export function proveClient(visitor: Visitor, examiner: Examiner): Promise<Proven> {
  const { client } = visitor;
  let tries = 0;
  let proven = false;
  const told = new Set<string>();
  return new Promise((resolve, reject) => {
    visitor.onGone(() => reject(new ClientGone('the client went away')));
    client.on('authentication', (context: AuthContext) => {
      // While it waits for the gate a client may ask for more: nothing else counts.
      if (proven) return context.reject(['publickey']);
      if (++tries > MOST_TRIES) {
        client.end('too many attempts to sign in');
        return hangUp(visitor.raw);
      }
      if (context.method !== 'publickey' || !context.key.algo.endsWith(CERTIFICATE_SUFFIX)) return context.reject(['publickey']);
      const shown = examine(context, examiner);
      if ('fault' in shown) {
        if (!told.has(shown.fault)) examiner.refused(shown.fault, shown.why);
        if (!told.has(shown.fault) && FAULT_WORDS[shown.fault] !== undefined) visitor.say({ message: `Brevet: ${FAULT_WORDS[shown.fault]}`, hint: NEW_CERTIFICATE });
        told.add(shown.fault);
        return context.reject(['publickey']);
      }
      if (context.signature === undefined) return context.accept(); // it would do: the client is to sign
      const signed = { algorithm: context.key.algo, signed: context.blob ?? Buffer.alloc(0), signature: context.signature };
      if (!provesPossession(shown.certificate, signed)) return context.reject(['publickey']);
      proven = true;
      resolve(provenBy(visitor, context, shown.certificate));
    });
  });
}

function provenBy(visitor: Visitor, context: PublicKeyAuthContext, { principals, extensions }: UserCertificate): Proven {
  return {
    proof: { by: 'certificate', fingerprint: createHash('sha256').update(context.key.data).digest('hex'), subject: principals[0] as string },
    user: context.username,
    allows: { pty: extensions.has('permit-pty'), forwarding: extensions.has('permit-port-forwarding') },
    accept: () => context.accept(),
    refuse(words) {
      visitor.say(words);
      context.reject(['publickey']);
      setTimeout(() => {
        visitor.client.end(lineOf(words));
        hangUp(visitor.raw);
      }, REFUSED_MS);
    },
  };
}

function examine({ key }: PublicKeyAuthContext, { authorities, address, now }: Examiner): { readonly certificate: UserCertificate } | { readonly fault: CertificateFault | 'restricted'; readonly why: string } {
  const principal = onlyPrincipal(key.data);
  const verdict = verifyUserCertificate(key.data, { authorities, now: new Date(now()), principal: principal ?? '' });
  if ('fault' in verdict) return verdict;
  const { restrictions } = verdict.accepted;
  if (principal === null || !(isId('person', principal) || isId('workload', principal))) return { fault: 'wrong_principal', why: 'it is not for a person or a workload of Brevet\'s' };
  if (!mayComeFrom(restrictions.sourceAddresses, address)) return { fault: 'restricted', why: 'it is for other addresses' };
  if (restrictions.forceCommand !== null) return { fault: 'restricted', why: 'it is for one command, which the broker has no way to hold it to' };
  return { certificate: verdict.accepted };
}

/** The one principal of a certificate that may be anybody's yet. */
function onlyPrincipal(blob: Uint8Array): string | null {
  try {
    const { principals } = readCertificate(blob);
    return principals.length === 1 ? (principals[0] as string) : null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

/** What holders of Brevet's own certificates can mend. Others are told nothing. */
const FAULT_WORDS: { readonly [Fault in CertificateFault | 'restricted']?: string } = {
  not_yet_valid: 'this certificate is not valid yet',
  expired: 'this certificate has expired',
  wrong_principal: 'this certificate is not for signing in here',
  restricted: 'this certificate does not allow that',
};
const NEW_CERTIFICATE = 'Get a new one, and connect again.';
