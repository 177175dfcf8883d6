/**
 * Browser sessions: a cookie with 256 random bits, of which only the SHA-256 is stored. A new one is made at every
 * sign-in and step-up, and the old one dropped, so that a planted or overheard one is worth nothing (attack E07).
 *
 * `__Host-` makes browsers insist on Secure, Path=/ and no Domain: no other host, subdomain or plain connection can
 * plant it. Only where Brevet runs on plain HTTP on loopback does it go without.
 */
import { createHash } from 'node:crypto';
import type { Random } from '#app/ports/runtime.ts';
import type { Seconds } from '#domain/duration.ts';

export interface SessionCookie {
  /** The value for the browser; 43 characters. */
  readonly value: string;
  /** What is stored: 32 bytes. */
  readonly verifier: Uint8Array;
}

export function newSessionCookie(random: Random): SessionCookie {
  const value = Buffer.from(random.bytes(32)).toString('base64url');
  return { value, verifier: cookieVerifier(value) };
}

export function cookieVerifier(value: string): Uint8Array {
  return createHash('sha256').update(`brevet browser session v1\0${value}`).digest();
}

export function cookieName(secure: boolean): string {
  return secure ? '__Host-brevet' : 'brevet';
}

/** A Set-Cookie header. `value` `''` with `maxAge` 0 takes the cookie back. */
export function setCookieHeader(value: string, { secure, maxAge }: { readonly secure: boolean; readonly maxAge: Seconds }): string {
  return `${cookieName(secure)}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`;
}

/**
 * The session's value in a Cookie header, or `null`. Two cookies of the name are as bad as none: somebody planted one,
 * and no rule says which comes first.
 */
export function readSessionCookie(header: string | undefined, secure: boolean): string | null {
  if (header === undefined || header.length > 8192) return null;
  const prefix = `${cookieName(secure)}=`;
  const values = header.split(';').map((pair) => pair.trim()).filter((pair) => pair.startsWith(prefix)).map((pair) => pair.slice(prefix.length));
  const [value] = values;
  // 43 characters of base64url hold 258 bits; the last may only be one that ends in two zero bits
  return values.length === 1 && value !== undefined && /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(value) ? value : null;
}

export const SESSION_LIMITS: { readonly idle: Seconds; readonly absolute: Seconds } = { idle: 30 * 60, absolute: 12 * 3600 };

/** Whether a session still stands. A clock that went back makes it end, never last. */
export function sessionStanding(
  session: { readonly startedAt: Date; readonly lastSeenAt: Date },
  now: Date,
  limits: { readonly idle: Seconds; readonly absolute: Seconds } = SESSION_LIMITS,
): 'live' | 'idle' | 'too_old' {
  const [age, idle] = [session.startedAt, session.lastSeenAt].map((at) => now.getTime() - at.getTime()) as [number, number];
  if (!(age >= -60_000 && age < limits.absolute * 1000)) return 'too_old';
  return idle < limits.idle * 1000 ? 'live' : 'idle';
}
