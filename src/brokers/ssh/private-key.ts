import { createPrivateKey, type KeyObject } from 'node:crypto';
import { string, uint32 } from '#contract/ssh/wire.ts';

/**
 * A private key in a form that ssh2 reads: it knows OpenSSH's format and the older PEM ones, and no PKCS #8, in which Node.js and OpenSSL
 * write theirs. @throws when it can't be read
 */
export function readableKey(text: string): string {
  if (!text.includes('-----BEGIN PRIVATE KEY-----')) return text;
  const key = createPrivateKey(text);
  if (key.asymmetricKeyType === 'ed25519') return openSshKey(key);
  return key.export({ format: 'pem', type: key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs1' }).toString();
}

/** OpenSSH's own format (PROTOCOL.key), unencrypted: the only one that it has for Ed25519. */
function openSshKey(key: KeyObject): string {
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const [point, seed] = [Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')];
  // The two check numbers tell whether a passphrase was right; there is none.
  const inner = Buffer.concat([uint32(0), uint32(0), string('ssh-ed25519'), string(point), string(seed, point), string('')]);
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, at) => at + 1));
  const blob = Buffer.concat([Buffer.from('openssh-key-v1\0'), string('none'), string('none'), string(''), uint32(1), string(string('ssh-ed25519'), string(point)), string(inner, padding)]);
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}
