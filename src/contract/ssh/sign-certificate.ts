/** Signs OpenSSH certificates (PROTOCOL.certkeys) with an Ed25519 key: for users and for hosts, in one profile. */
import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { CERTIFICATE_SUFFIX } from './certificate.ts';
import { encodePublicKey, readPublicKey } from './public-key.ts';
import { readNetworks } from './restrictions.ts';
import { Malformed, string, uint32, uint64, WireReader } from './wire.ts';

/** The key of an authority, wherever it is kept. */
export interface SshAuthority {
  /** Ed25519. */
  readonly publicKey: KeyObject;
  /** A plain Ed25519 signature, 64 bytes. */
  readonly sign: (data: Uint8Array) => Uint8Array;
}

export function authorityOf(privateKey: KeyObject): SshAuthority {
  return { publicKey: createPublicKey(privateKey), sign: (data) => sign(null, data, privateKey) };
}

interface Content {
  /** The key to certify, as an OpenSSH public key. Nobody has shown to have its private half: that comes with its use. */
  readonly publicKey: Uint8Array;
  /** What servers write into their logs, and what one certificate is revoked by. */
  readonly serial: bigint;
  readonly keyId: string;
  /** Whole seconds count; what is below is cut off. */
  readonly validAfter: Date;
  readonly validBefore: Date;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
}

export interface UserContent extends Content {
  /** Names that targets know the user by. */
  readonly principals: readonly string[];
  readonly forceCommand?: string;
  /** Addresses and networks in CIDR notation. */
  readonly sourceAddresses?: readonly string[];
  /** Nothing that is not named here is allowed by sshd, with a pty as the first. */
  readonly extensions: readonly UserExtension[];
}

export interface HostContent extends Content {
  /** Host names and addresses by which it is reached. */
  readonly hosts: readonly string[];
}

/** In lexical order, as they are written. Agent forwarding and X11 are not among them: nothing of Brevet's needs either. */
export const USER_EXTENSIONS = ['permit-port-forwarding', 'permit-pty'] as const;
export type UserExtension = (typeof USER_EXTENSIONS)[number];

/** @throws RangeError for content that would mean something else to whoever reads it, or everything */
export function signUserCertificate(content: UserContent, authority: SshAuthority): Buffer {
  const options: [string, Uint8Array][] = [];
  if (content.forceCommand !== undefined) options.push(['force-command', string(printable(content.forceCommand, 'the forced command'))]);
  if (content.sourceAddresses !== undefined) options.push(['source-address', string(networks(content.sourceAddresses))]);
  const extensions = USER_EXTENSIONS.filter((one) => content.extensions.includes(one)).map((one): [string, Uint8Array] => [one, Buffer.alloc(0)]);
  return signCertificate(1, content, named(content.principals, isPrincipal), { options, extensions }, authority);
}

/** @throws RangeError */
export function signHostCertificate(content: HostContent, authority: SshAuthority): Buffer {
  return signCertificate(2, content, named(content.hosts, isHostName), { options: [], extensions: [] }, authority);
}

/**
 * Letters, digits and `._-@:+`, not beginning with a dash: nothing that is special in sshd's files of principals, in a
 * list with commas, or to a program that gets it as an argument (attack C03).
 */
export function isPrincipal(name: string): boolean {
  return /^[A-Za-z0-9._@:+][A-Za-z0-9._@:+-]{0,127}$/.test(name);
}

/** A DNS name in lower-case letters or an IP address: no pattern, no port. */
export function isHostName(name: string): boolean {
  if (isIP(name) !== 0) return !name.includes('%');
  return name.length <= 253 && /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name);
}

type Options = readonly (readonly [name: string, data: Uint8Array])[];

function signCertificate(kind: 1 | 2, content: Content, names: readonly string[], { options, extensions }: { readonly options: Options; readonly extensions: Options }, authority: SshAuthority): Buffer {
  const { publicKey, serial, nonce } = content;
  const [after, before] = [secondsOf(content.validAfter), secondsOf(content.validBefore)];
  if (before <= after) throw new RangeError('a certificate ends before it begins');
  if (nonce.length !== 32) throw new RangeError('a nonce has 32 bytes');
  if (authority.publicKey.asymmetricKeyType !== 'ed25519') throw new RangeError("an authority's key is an Ed25519 key");
  const { type, fields } = splitKey(publicKey);
  const signed = Buffer.concat([
    string(type), string(nonce), fields, uint64(serial), uint32(kind), string(printable(content.keyId, 'the key id')),
    string(...names.map((name) => string(name))), uint64(after), uint64(before),
    string(...written(options)), string(...written(extensions)), string(), string(encodePublicKey(authority.publicKey)),
  ]);
  return Buffer.concat([signed, string(string('ssh-ed25519'), string(authority.sign(signed)))]);
}

function written(options: Options): readonly Uint8Array[] {
  return options.flatMap(([name, data]) => [string(name), string(data)]);
}

/** The certificate's type for a key, and what stands in it behind its own type. */
function splitKey(blob: Uint8Array): { readonly type: string; readonly fields: Uint8Array } {
  try {
    const { type } = readPublicKey(blob);
    const reader = new WireReader(blob);
    reader.bytes();
    return { type: type.replace('@openssh.com', '') + CERTIFICATE_SUFFIX, fields: blob.subarray(reader.position) };
  } catch (error) {
    throw error instanceof Malformed ? new RangeError(`this key can't be certified: ${error.message}`) : error;
  }
}

function named(names: readonly string[], isFine: (name: string) => boolean): readonly string[] {
  // To OpenSSH a certificate without principals is one for all of them.
  if (names.length === 0) throw new RangeError('a certificate needs a principal');
  if (names.length > 256) throw new RangeError('a certificate has at most 256 principals');
  const odd = names.find((name) => !isFine(name));
  if (odd !== undefined) throw new RangeError(`${JSON.stringify(odd.slice(0, 80))} can't stand in a certificate`);
  return names;
}

function networks(list: readonly string[]): string {
  try {
    return readNetworks(list.join(',')).join(',');
  } catch {
    throw new RangeError('a source address is neither an address nor a network');
  }
}

function printable(text: string, what: string): string {
  if (text === '' || text.length > 1024 || /\p{Cc}|\p{Cs}/u.test(text)) throw new RangeError(`${what} is empty, too long, or holds control characters`);
  return text;
}

function secondsOf(time: Date): bigint {
  const seconds = Math.floor(time.getTime() / 1000);
  if (!(seconds >= 0)) throw new RangeError('a certificate needs a beginning and an end');
  return BigInt(seconds);
}
