import { createPrivateKey, createPublicKey } from 'node:crypto';
import { encodePublicKey } from '#contract/ssh/public-key.ts';
import { string, uint32 } from '#contract/ssh/wire.ts';
import { publicKeyLine } from '#contract/ssh/key-lines.ts';
import { sudoTime } from './sudoers.ts';
import type { Scope } from './scope.ts';

export interface AccountKey {
  /** In OpenSSH's own format (PROTOCOL.key), without a passphrase: a secret. */
  readonly privateKey: string;
  readonly publicKey: Uint8Array;
}

/** What stands in front of the 32 bytes of a private Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A new Ed25519 key from the random source that is handed in. */
export function makeKey(random: (bytes: number) => Uint8Array, comment: string): AccountKey {
  const seed = random(32);
  const publicKey = encodePublicKey(createPublicKey(createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })));
  const raw = publicKey.subarray(-32);
  // The same number twice tells a reader that it has decrypted rightly; there is nothing to decrypt here.
  const check = random(4);
  const fields = Buffer.concat([check, check, string('ssh-ed25519'), string(raw), string(seed, raw), string(comment)]);
  // Filled up with 1, 2, 3 ... to a multiple of eight.
  const secret = Buffer.concat([fields, Uint8Array.from({ length: (8 - (fields.length % 8)) % 8 }, (_, at) => at + 1)]);
  const body = Buffer.concat([Buffer.from('openssh-key-v1\0'), string('none'), string('none'), string(''), uint32(1), string(publicKey), string(secret)]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return { publicKey, privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n` };
}

/**
 * The line of authorized_keys: what the scope allows on the connection and nothing beside it, and an end to the second, where
 * sshd knows UTC there (OpenSSH 9.1). The broker holds to the same; this holds when somebody gets past it.
 */
export function keyLine(key: Uint8Array, scope: Scope, deadline: Date, comment: string, server: string): string {
  const options = ['restrict'];
  if (scope.allow.includes('shell') || scope.allow.includes('exec')) options.push('pty');
  if (scope.localForward.length + scope.remoteForward.length > 0) {
    options.push('port-forwarding', ...scope.localForward.map((to) => `permitopen="${to}"`), ...scope.remoteForward.map((port) => `permitlisten="${port}"`));
    // Without one of a kind all of that kind would be allowed, and there is no word for none here: a name that never exists (RFC 6761).
    if (scope.localForward.length === 0) options.push('permitopen="none.invalid:1"');
    if (scope.remoteForward.length === 0) options.push('permitlisten="none.invalid:1"');
  }
  if (knowsUtc(server)) options.push(`expiry-time="${sudoTime(deadline)}"`);
  if (scope.allow.length === 1 && scope.allow[0] === 'sftp') options.push('command="internal-sftp"');
  return `${options.join(',')} ${publicKeyLine(key, comment)}`;
}

/** Whether sshd takes times in UTC in authorized_keys: from OpenSSH 9.1 on. */
export function knowsUtc(server: string): boolean {
  const [, major = '0', minor = '0'] = /^OpenSSH_(\d+)\.(\d+)/.exec(server) ?? [];
  return Number(major) > 9 || (Number(major) === 9 && Number(minor) >= 1);
}
