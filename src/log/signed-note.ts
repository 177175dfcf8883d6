/**
 * Notes signed by Ed25519 keys: c2sp.org/signed-note. A note is text that ends in a newline, an empty line, and one or
 * more signature lines `— <key name> base64(key id || signature)`.
 *
 * Reading is strict and bounded: a note of another size than a log's would ever be is refused before it is looked at.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import { Malformed, readBase64, readUtf8 } from './malformed.ts';

/** The format demands that 16 signatures are accepted; post-quantum ones take 5 kB each. */
export const MAX_SIGNATURES = 64;
export const MAX_NOTE_BYTES = 256 * 1024;

const ED25519 = 0x01;
const KEY_NAME = /^[^\s\p{White_Space}\p{Cc}+]+$/u;
// The fixed DER heads of an Ed25519 key (RFC 8410): what follows is the raw 32 bytes.
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

export interface NoteVerifier {
  readonly name: string;
  /** The first four bytes, big-endian, of SHA-256(name || 0x0A || 0x01 || public key). An index, not a fingerprint. */
  readonly keyId: number;
  readonly vkey: string;
  verify(text: Uint8Array, signature: Uint8Array): boolean;
}

export interface NoteSigner {
  readonly name: string;
  readonly keyId: number;
  /** The public half, to be handed out. */
  readonly vkey: string;
  sign(text: Uint8Array): Uint8Array;
}

export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

export interface Note {
  /** With its last newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

function checkName(name: string): string {
  if (!KEY_NAME.test(name) || !name.isWellFormed()) throw new Malformed('a key name is not empty and has no space or plus');
  return name;
}

function keyIdOf(name: string, publicKey: Uint8Array): number {
  const seed = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), publicKey]);
  return hash('sha256', seed, 'buffer').readUInt32BE(0);
}

const hexId = (keyId: number): string => keyId.toString(16).padStart(8, '0');

/** Writes the vkey `<name>+<key id in hex>+base64(0x01 || public key)` of a raw 32-byte Ed25519 public key. */
export function formatVerifierKey(name: string, publicKey: Uint8Array): string {
  if (publicKey.length !== 32) throw new RangeError('an Ed25519 public key has 32 bytes');
  const key = Buffer.concat([Buffer.of(ED25519), publicKey]).toString('base64');
  return `${checkName(name)}+${hexId(keyIdOf(name, publicKey))}+${key}`;
}

/** Writes the skey `PRIVATE+KEY+<name>+<key id>+base64(0x01 || seed)` of a 32-byte Ed25519 seed. A secret. */
export function formatSignerKey(name: string, seed: Uint8Array): string {
  const id = hexId(keyIdOf(checkName(name), publicKeyOf(privateKey(seed))));
  return `PRIVATE+KEY+${name}+${id}+${Buffer.concat([Buffer.of(ED25519), seed]).toString('base64')}`;
}

function privateKey(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new RangeError('an Ed25519 seed has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD.length);
}

/** The last three fields of `...<name>+<id>+<key>`: base64 has plus signs of its own, names have none. */
function splitKey(text: string, what: string): { name: string; id: string; key: Buffer } {
  const parts = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text);
  if (parts === null) throw new Malformed(`${what} is not <name>+<key id>+<key>`);
  const [, name = '', id = '', encoded = ''] = parts;
  const bytes = readBase64(encoded, what);
  if (bytes.length !== 33 || bytes[0] !== ED25519) throw new Malformed(`${what} is not an Ed25519 key`);
  return { name: checkName(name), id, key: bytes.subarray(1) };
}

/** @throws Malformed also when the key id does not belong to the name and the key. */
export function parseVerifierKey(vkey: string): NoteVerifier {
  const { name, id, key } = splitKey(vkey, 'the verifier key');
  const keyId = keyIdOf(name, key);
  if (hexId(keyId) !== id) throw new Malformed('the verifier key has the id of another key');
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI_HEAD, key]), format: 'der', type: 'spki' });
  return {
    name,
    keyId,
    vkey,
    verify: (text, signature) => signature.length === 64 && verify(null, text, publicKey, signature),
  };
}

/** @throws Malformed without repeating any part of the key. */
export function parseSignerKey(skey: string): NoteSigner {
  const prefix = 'PRIVATE+KEY+';
  if (!skey.startsWith(prefix)) throw new Malformed('the signer key does not begin with PRIVATE+KEY+');
  const { name, id, key } = splitKey(skey.slice(prefix.length), 'the signer key');
  const secret = privateKey(key);
  const publicKey = publicKeyOf(secret);
  const keyId = keyIdOf(name, publicKey);
  if (hexId(keyId) !== id) throw new Malformed('the signer key has the id of another key');
  return { name, keyId, vkey: formatVerifierKey(name, publicKey), sign: (text) => sign(null, text, secret) };
}

function checkText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the format forbids exactly these
  if (!text.endsWith('\n') || !text.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(text)) {
    throw new Malformed('the text of a note is UTF-8 that ends in a newline and has no other control characters');
  }
  return text;
}

/** Puts signatures, also those of witnesses, under a text. */
export function formatNote({ text, signatures }: Note): string {
  if (signatures.length === 0 || signatures.length > MAX_SIGNATURES) throw new Malformed('a note has 1 to 64 signatures');
  const lines = signatures.map(({ name, keyId, signature }) => {
    const id = Buffer.alloc(4);
    id.writeUInt32BE(keyId);
    return `— ${checkName(name)} ${Buffer.concat([id, signature]).toString('base64')}\n`;
  });
  return `${checkText(text)}\n${lines.join('')}`;
}

export function signNote(text: string, signers: readonly NoteSigner[]): string {
  const bytes = Buffer.from(checkText(text));
  return formatNote({ text, signatures: signers.map((s) => ({ name: s.name, keyId: s.keyId, signature: s.sign(bytes) })) });
}

/** Reads a note without trusting it: no signature has been checked yet. @throws Malformed */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > MAX_NOTE_BYTES) throw new Malformed(`the note is larger than ${MAX_NOTE_BYTES} bytes`);
  const note = readUtf8(bytes, 'the note');
  // The text may hold empty lines: the last one in the note separates.
  const at = note.lastIndexOf('\n\n');
  if (at === -1 || !note.endsWith('\n')) throw new Malformed('the note has no signatures');
  const text = checkText(note.slice(0, at + 1));
  const lines = note.slice(at + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw new Malformed(`the note has more than ${MAX_SIGNATURES} signatures`);
  return { text, signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const [dash, name, encoded, ...rest] = line.split(' ');
  if (dash !== '—' || name === undefined || encoded === undefined || rest.length > 0) {
    throw new Malformed('a signature line is not — <key name> <base64>');
  }
  const bytes = readBase64(encoded, 'a signature');
  if (bytes.length < 5) throw new Malformed('a signature is shorter than its key id');
  return { name: checkName(name), keyId: bytes.readUInt32BE(0), signature: bytes.subarray(4) };
}

export interface OpenedNote extends Note {
  /** The known keys whose signatures were verified: at least one. */
  readonly by: readonly NoteVerifier[];
}

/**
 * Reads a note and checks its signatures. Signatures of unknown keys (another name or another id) are left aside; one
 * bad signature in the name and id of a known key spoils the note.
 *
 * @throws Malformed also when no known key signed, and RangeError when two known keys share name and id: then nobody
 * could tell whose signature it is, and the caller's list of keys is at fault.
 */
export function openNote(bytes: Uint8Array, known: readonly NoteVerifier[]): OpenedNote {
  const keys = new Map(known.map((key) => [`${key.name}+${key.keyId}`, key]));
  if (new Set(known.map((key) => key.vkey)).size !== keys.size) throw new RangeError('two known keys share name and id');
  const note = parseNote(bytes);
  const text = Buffer.from(note.text);
  const by = new Set<NoteVerifier>();
  for (const { name, keyId, signature } of note.signatures) {
    const key = keys.get(`${name}+${keyId}`);
    if (key === undefined) continue;
    if (!key.verify(text, signature)) throw new Malformed('a signature does not verify under the key it names');
    by.add(key);
  }
  if (by.size === 0) throw new Malformed('no known key signed the note');
  return { ...note, by: [...by] };
}
