/**
 * What is negotiated with a host. Left out: SHA-1, DSA, CBC, MACs over the plaintext, compression. The NIST curves are there for
 * hosts in FIPS mode. `mlkem768x25519-sha256` comes with the patch of ssh2 (patches/); without it ssh2 refuses the list.
 */
import type { Algorithms, CipherAlgorithm, KexAlgorithm, MacAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';

const KEX: KexAlgorithm[] = ['mlkem768x25519-sha256' as string as KexAlgorithm, 'curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp256'];
const CIPHERS: CipherAlgorithm[] = ['aes256-gcm@openssh.com', 'aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes256-ctr'];
const MACS: MacAlgorithm[] = ['hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256-etm@openssh.com'];

/** A host with several keys shows one of a type that was asked for: only those of pinned keys are. */
export function algorithmsFor(hostKeys: readonly string[]): Algorithms {
  const types = new Set(hostKeys.map((line) => line.split(' ')[0] ?? ''));
  const signing = [...types].flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
  return { kex: KEX, serverHostKey: signing as ServerHostKeyAlgorithm[], cipher: CIPHERS, hmac: MACS, compress: ['none'] };
}
