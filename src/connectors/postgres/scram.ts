import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** RFC 7677 asks for at least 4,096; the passwords are 192 random bits, so that more would only cost time. */
const ITERATIONS = 4096;

/**
 * What the server keeps of a password (RFC 5803 in PostgreSQL's spelling). Made here, so that the password itself
 * never crosses the wire in an SQL statement and never stands in the server's log. `salt` is 16 random bytes.
 * The password is ASCII, or `prepared`.
 */
export async function scramVerifier(password: string, salt: Uint8Array): Promise<string> {
  return verifierWith(password, salt, ITERATIONS);
}

async function verifierWith(password: string, salt: Uint8Array, iterations: number): Promise<string> {
  const salted = await promisify(pbkdf2)(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

/** What a server before SCRAM keeps, and some still do: tied to the role's name. */
export function md5Verifier(password: string, user: string): string {
  return `md5${createHash('md5').update(password + user).digest('hex')}`;
}

/** A target that lies could ask for any number of rounds. */
const MOST_ITERATIONS = 1_000_000;

/** Whether a verifier read from a server is that of this password. */
export async function verifies(kept: string, password: string, user: string): Promise<boolean> {
  const [, iterations, salt] = /^SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]{1,200})\$/.exec(kept) ?? [];
  if (salt === undefined) return same(kept, md5Verifier(password, user));
  if (Number(iterations) < 1 || Number(iterations) > MOST_ITERATIONS) return false;
  // PostgreSQL takes a password as it stands when SASLprep can't prepare it.
  for (const text of new Set([prepared(password), password])) {
    if (same(kept, await verifierWith(text, Buffer.from(salt, 'base64'), Number(iterations)))) return true;
  }
  return false;
}

function same(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

/** SASLprep (RFC 4013) as far as PostgreSQL needs it: ASCII stays, the rest is mapped and normalised. */
export function prepared(password: string): string {
  return password
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ')
    .normalize('NFKC');
}
