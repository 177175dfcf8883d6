/** Lines for OpenSSH's files: authorized_keys, known_hosts, `.pub`. No part of one can begin another line (attack C04). */
import { readCertificate, certifiedType } from './certificate.ts';
import { readPublicKey } from './public-key.ts';
import { isHostName, isPrincipal } from './sign-certificate.ts';
import { WireReader } from './wire.ts';

/** `ssh-ed25519 AAAA... comment`, for a key or a certificate. @throws RangeError @throws Malformed */
export function publicKeyLine(blob: Uint8Array, comment: string): string {
  if (!/^[!-~]{0,128}$/.test(comment)) throw new RangeError('a comment is one printable word');
  return `${typeOf(blob)} ${Buffer.from(blob).toString('base64')}${comment === '' ? '' : ` ${comment}`}`;
}

/** A line of known_hosts that has clients believe this authority about these hosts. @throws RangeError @throws Malformed */
export function knownAuthorityLine(hosts: readonly KnownHost[], authority: Uint8Array, comment: string): string {
  return `@cert-authority ${knownHostLine(hosts, authority, comment)}`;
}

/** A line of known_hosts for one host's key. @throws RangeError @throws Malformed */
export function knownHostLine(hosts: readonly KnownHost[], key: Uint8Array, comment: string): string {
  if (hosts.length === 0) throw new RangeError('a line of known_hosts needs a host');
  return `${hosts.map(knownName).join(',')} ${publicKeyLine(key, comment)}`;
}

/** A line of authorized_keys that has sshd believe this authority about these principals. @throws RangeError @throws Malformed */
export function authorizedAuthorityLine(principals: readonly string[], authority: Uint8Array, comment: string): string {
  // Without the option, or with it empty, a certificate for the account's own name would do.
  if (principals.length === 0 || !principals.every(isPrincipal)) throw new RangeError('a line for an authority needs principals');
  return `cert-authority,principals="${principals.join(',')}" ${publicKeyLine(authority, comment)}`;
}

export interface KnownHost {
  readonly name: string;
  readonly port: number;
}

function knownName({ name, port }: KnownHost): string {
  if (!isHostName(name) || !Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`${JSON.stringify(name.slice(0, 80))} is not a host`);
  return port === 22 ? name : `[${name}]:${port}`;
}

/** The type that the blob names, once it has been read to its end. */
function typeOf(blob: Uint8Array): string {
  const type = new WireReader(blob).text();
  if (certifiedType(type) === null) readPublicKey(blob);
  else readCertificate(blob);
  return type;
}
