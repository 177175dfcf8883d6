/**
 * What Brevet negotiates in SSH, in order of preference. Left out on purpose: SHA-1 anywhere, DSA, CBC (plaintext recovery),
 * MACs over the plaintext (encrypt-and-MAC), compression before and after authentication (CRIME; work for an attacker to
 * order), finite-field exchanges as a server (CVE-2002-20001: a client makes the server compute for next to nothing).
 *
 * `mlkem768x25519-sha256` comes with our patch of ssh2 (patches/) and needs the ML-KEM of Node.js 24.7. Without one of them ssh2
 * throws `Unsupported algorithm` when it is given these lists: nothing is negotiated without it by accident. ssh2 adds
 * strict key exchange (`kex-strict-...`, CVE-2023-48795) to either list by itself.
 */
import type { Algorithms, CipherAlgorithm, KexAlgorithm, MacAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';

/** As lists, which ssh2 takes as they are; it would also take changes to its own. */
type Lists = { [kind in keyof Required<Algorithms>]: Extract<Algorithms[kind], unknown[]> };

/** A post-quantum hybrid; OpenSSH warns about anything else since 10.1. The published types know the published ssh2 only. */
const POST_QUANTUM = 'mlkem768x25519-sha256' as string as KexAlgorithm;
const MODERN_EXCHANGES: KexAlgorithm[] = [POST_QUANTUM, 'curve25519-sha256', 'curve25519-sha256@libssh.org'];
/** Authenticated ciphers; counter mode with encrypt-then-MAC is for clients that have no other. */
const CIPHERS: CipherAlgorithm[] = ['aes256-gcm@openssh.com', 'aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes256-ctr', 'aes192-ctr', 'aes128-ctr'];
const MACS: MacAlgorithm[] = ['hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256-etm@openssh.com'];

/** For the side that users connect to. `ssh-audit` finds nothing to say about it (test/system/ssh-handshake.test.ts). */
export const SERVER_ALGORITHMS: Lists = {
  kex: MODERN_EXCHANGES,
  // The broker has an Ed25519 key only: with an RSA key ssh2 would offer SHA-1 signatures too, whatever this says.
  serverHostKey: ['ssh-ed25519'],
  cipher: CIPHERS,
  hmac: MACS,
  compress: ['none'],
};

/**
 * For the side that connects to targets. NIST curves and the larger finite fields are here for targets in FIPS mode, which
 * have no Curve25519 and no Ed25519.
 */
export const CLIENT_ALGORITHMS: Lists = {
  kex: [...MODERN_EXCHANGES, 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp521', 'diffie-hellman-group16-sha512', 'diffie-hellman-group18-sha512'],
  serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp521', 'rsa-sha2-512', 'rsa-sha2-256'],
  cipher: CIPHERS,
  hmac: MACS,
  compress: ['none'],
};

/** In front of the others, for a target whose host certificate is to be verified: see `verifyHostCertificate`. */
export const CERTIFIED_HOST_KEY = 'ssh-ed25519-cert-v01@openssh.com' as string as ServerHostKeyAlgorithm;
