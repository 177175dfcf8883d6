import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePublicKey, fingerprintOf, readPublicKey } from './public-key.ts';
import { mayComeFrom } from './restrictions.ts';
import { authorityOf, signHostCertificate, signUserCertificate, type UserContent } from './sign-certificate.ts';
import { provesPossession, verifyHostCertificate, verifyUserCertificate, type CertificateFault } from './verify-certificate.ts';
import { positive, string, uint32, uint64 } from './wire.ts';

const NOW = new Date('2026-05-01T12:00:00Z');
const authorityKey = generateKeyPairSync('ed25519');
const authority = authorityOf(authorityKey.privateKey);
const authorityBlob = encodePublicKey(authority.publicKey);
const user = generateKeyPairSync('ed25519');
const expected = { authorities: [authorityBlob], principal: 'ada', now: NOW };

const content: UserContent = {
  publicKey: encodePublicKey(user.publicKey), serial: 7n, keyId: 'ada for grt_1', principals: ['ada', 'db'],
  validAfter: new Date(NOW.getTime() - 60_000), validBefore: new Date(NOW.getTime() + 60_000), nonce: randomBytes(32),
  extensions: ['permit-pty'], forceCommand: 'uptime', sourceAddresses: ['10.0.0.0/8', '2001:db8::1'],
};
const good = signUserCertificate(content, authority);

function faultOf(blob: Uint8Array, changed: Partial<typeof expected> = {}): CertificateFault | 'accepted' {
  const verdict = verifyUserCertificate(blob, { ...expected, ...changed });
  return 'accepted' in verdict ? 'accepted' : verdict.fault;
}

/** A certificate as no signer of ours writes it: any fields, signed by the authority all the same. */
function forged(fields: { kind?: number; names?: Uint8Array; critical?: Uint8Array; extensions?: Uint8Array; reserved?: string; signer?: Uint8Array; after?: bigint; before?: bigint; tail?: Uint8Array }): Buffer {
  const seconds = BigInt(NOW.getTime() / 1000);
  const signed = Buffer.concat([
    string('ssh-ed25519-cert-v01@openssh.com'), string(randomBytes(32)), encodePublicKey(user.publicKey).subarray(4 + 'ssh-ed25519'.length), uint64(1n),
    uint32(fields.kind ?? 1), string('id'), string(fields.names ?? string('ada')), uint64(fields.after ?? seconds), uint64(fields.before ?? seconds + 1n),
    string(fields.critical ?? ''), string(fields.extensions ?? ''), string(fields.reserved ?? ''), string(fields.signer ?? authorityBlob),
  ]);
  return Buffer.concat([signed, string(string('ssh-ed25519'), string(authority.sign(signed))), fields.tail ?? Buffer.alloc(0)]);
}

test('what is signed is read back and accepted', () => {
  const verdict = verifyUserCertificate(good, expected);
  assert.ok('accepted' in verdict, 'fault' in verdict ? verdict.why : '');
  const { accepted } = verdict;
  assert.deepEqual(accepted.restrictions, { forceCommand: 'uptime', sourceAddresses: ['10.0.0.0/8', '2001:db8::1'], verifyRequired: false });
  assert.deepEqual([accepted.kind, accepted.serial, accepted.keyId, accepted.principals, [...accepted.extensions.keys()]], ['user', 7n, 'ada for grt_1', ['ada', 'db'], ['permit-pty']]);
  assert.deepEqual(Buffer.from(accepted.keyBlob), content.publicKey);
  assert.equal(fingerprintOf(accepted.keyBlob), fingerprintOf(content.publicKey));
});

test('A12 C03 a certificate counts for its principals only, in its time only, from a trusted authority only', () => {
  const other = authorityOf(generateKeyPairSync('ed25519').privateKey);
  assert.equal(faultOf(good, { principal: 'kim' }), 'wrong_principal');
  for (const principal of ['ADA', 'ada ', 'ad', 'ada,db', '', 'a\u0000da']) assert.equal(faultOf(good, { principal }), 'wrong_principal', principal);
  assert.equal(faultOf(good, { authorities: [] }), 'unknown_authority');
  assert.equal(faultOf(good, { authorities: [encodePublicKey(other.publicKey)] }), 'unknown_authority');
  assert.equal(faultOf(signUserCertificate(content, { publicKey: authority.publicKey, sign: other.sign })), 'bad_signature');
  assert.equal(faultOf(signHostCertificate({ ...content, hosts: ['ada'] }, authority)), 'wrong_kind');
});

test('B02 the first second counts, the last does not', () => {
  const at = (ms: number) => faultOf(good, { now: new Date(ms) });
  const [after, before] = [content.validAfter.getTime(), content.validBefore.getTime()];
  assert.deepEqual([at(after - 1), at(after), at(before - 1), at(before)], ['not_yet_valid', 'accepted', 'accepted', 'expired']);
  assert.throws(() => at(Number.NaN), RangeError);
  assert.equal(faultOf(forged({ after: 0n, before: 2n ** 64n - 1n })), 'accepted');
  assert.equal(faultOf(forged({ after: 2n ** 63n, before: 2n ** 64n - 1n })), 'not_yet_valid');
});

test('A12 C03 what would mean something else, or everything, is refused although the authority signed it', () => {
  const option = (name: string, ...data: Uint8Array[]) => Buffer.concat([string(name), string(...data)]);
  const cases: [Uint8Array, CertificateFault | 'accepted'][] = [
    [forged({}), 'accepted'],
    [forged({ names: Buffer.alloc(0) }), 'no_principals'],
    [forged({ names: string('') }), 'malformed'],
    [forged({ names: string('ada\n') }), 'malformed'],
    [forged({ names: string('ada\0') }), 'malformed'],
    [forged({ names: string(Uint8Array.of(0xff)) }), 'malformed'],
    [forged({ names: Buffer.concat(Array.from({ length: 257 }, () => string('ada'))) }), 'malformed'],
    [forged({ kind: 2 }), 'wrong_kind'],
    [forged({ kind: 3 }), 'malformed'],
    [forged({ reserved: 'x' }), 'malformed'],
    [forged({ tail: Buffer.of(0) }), 'malformed'],
    [forged({ signer: good }), 'malformed'],
    [forged({ critical: option('permit-everything') }), 'unknown_option'],
    [forged({ critical: option('Force-Command', string('id')) }), 'unknown_option'],
    [forged({ critical: option('force-command') }), 'malformed'],
    [forged({ critical: option('force-command', string('')) }), 'malformed'],
    [forged({ critical: option('source-address', string('10.0.0.0/33')) }), 'malformed'],
    [forged({ critical: option('source-address', string('*')) }), 'malformed'],
    [forged({ critical: Buffer.concat([option('force-command', string('a')), option('force-command', string('b'))]) }), 'malformed'],
    [forged({ critical: Buffer.concat([option('verify-required'), option('force-command', string('b'))]) }), 'malformed'],
    [forged({ extensions: option('large@example.org', Buffer.alloc(33_000)) }), 'malformed'],
    [forged({ extensions: option('something-new@example.org', string('x')) }), 'accepted'],
  ];
  assert.deepEqual(cases.map(([blob]) => faultOf(blob)), cases.map(([, fault]) => fault));
});

test('A12 no bit can be flipped, nothing cut off, nothing put behind', () => {
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bent = Buffer.from(good);
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.notEqual(faultOf(bent), 'accepted', `bit ${bit}`);
  }
  for (let length = 0; length < good.length; length++) assert.equal(faultOf(good.subarray(0, length)), 'malformed');
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (tail) => faultOf(Buffer.concat([good, tail])) === 'malformed'));
});

test('H03 no bytes make the reader do anything but read or refuse', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => faultOf(bytes) === 'malformed'));
  fc.assert(fc.property(fc.nat(good.length - 1), fc.uint8Array({ maxLength: 40 }), (at, bytes) => {
    const bent = Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + bytes.length)]);
    return bent.equals(good) || faultOf(bent) !== 'accepted';
  }), { numRuns: 2000 });
  const started = performance.now();
  assert.equal(faultOf(Buffer.alloc(50_000_000, 1)), 'malformed');
  assert.ok(performance.now() - started < 100);
});

test('keys of every type are the same after a round trip; weak and unusual ones are refused', () => {
  for (const [type, key] of [
    ['ssh-ed25519', generateKeyPairSync('ed25519')], ['ecdsa-sha2-nistp256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ecdsa-sha2-nistp384', generateKeyPairSync('ec', { namedCurve: 'P-384' })], ['ecdsa-sha2-nistp521', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['ssh-rsa', generateKeyPairSync('rsa', { modulusLength: 3072 })],
  ] as const) {
    const blob = encodePublicKey(key.publicKey);
    assert.equal(readPublicKey(blob).type, type);
    assert.ok(readPublicKey(blob).key.equals(key.publicKey));
    assert.throws(() => readPublicKey(Buffer.concat([blob, Buffer.of(0)])), /behind its end/);
  }
  const refused = (blob: Uint8Array, why: RegExp) => assert.throws(() => readPublicKey(blob), why);
  refused(encodePublicKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey), /2048 bits/);
  refused(encodePublicKey(generateKeyPairSync('rsa', { modulusLength: 3072, publicExponent: 3 }).publicKey), /exponent/);
  const modulus = Buffer.concat([Buffer.of(0xc0), randomBytes(383)]);
  refused(Buffer.concat([string('ssh-rsa'), string(Buffer.of(0, 1, 0, 1)), positive(modulus)]), /shortest form/);
  refused(Buffer.concat([string('ssh-rsa'), positive(Buffer.of(1, 0, 1)), string(modulus)]), /negative/);
  refused(Buffer.concat([string('ssh-dss'), string('x')]), /not accepted/);
  const p256 = Buffer.concat([string('ecdsa-sha2-nistp256'), string('nistp256'), string(Buffer.of(4), Buffer.alloc(64, 1))]);
  refused(p256, /OpenSSL refuses/); // not on the curve
  refused(Buffer.concat([string('ecdsa-sha2-nistp256'), string('nistp384'), p256.subarray(31)]), /another curve/);
});

test('A12 the session must be signed by the certified key, with a modern algorithm', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const verdict = verifyUserCertificate(signUserCertificate({ ...content, publicKey: encodePublicKey(rsa.publicKey) }, authority), expected);
  assert.ok('accepted' in verdict);
  const signed = randomBytes(100);
  const wrap = (algorithm: string, hash: string) => Buffer.concat([string(algorithm), string(sign(hash, signed, rsa.privateKey))]);
  const proves = (algorithm: string, signature: Uint8Array) => provesPossession(verdict.accepted, { algorithm: `${algorithm}-cert-v01@openssh.com`, signed, signature });
  assert.ok(proves('rsa-sha2-512', wrap('rsa-sha2-512', 'sha512')));
  assert.ok(proves('rsa-sha2-256', wrap('rsa-sha2-256', 'sha256')));
  assert.ok(!proves('rsa-sha2-512', wrap('rsa-sha2-256', 'sha256')), 'another algorithm than was named');
  assert.ok(!proves('ssh-rsa', wrap('ssh-rsa', 'sha1')), 'SHA-1');
  assert.ok(!proves('ssh-rsa', wrap('rsa-sha2-512', 'sha512')));
  assert.ok(!proves('rsa-sha2-512', wrap('rsa-sha2-512', 'sha1')));
  assert.ok(!proves('ssh-ed25519', Buffer.concat([string('ssh-ed25519'), string(sign(null, signed, user.privateKey))])), 'another key');
  assert.ok(!proves('rsa-sha2-512', Buffer.alloc(0)));
  assert.ok(!proves('rsa-sha2-512', Buffer.concat([wrap('rsa-sha2-512', 'sha512'), Buffer.of(0)])), 'more behind it');
  assert.ok(!proves('ssh-rsa', wrap('ssh-rsa', 'sha256')), 'SHA-1 by name');
  assert.ok(!provesPossession(verdict.accepted, { algorithm: 'rsa-sha2-512', signed, signature: wrap('rsa-sha2-512', 'sha512') }), 'without the certificate');
});

test('A12 an ECDSA signature is two numbers, and nothing else', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const verdict = verifyUserCertificate(signUserCertificate({ ...content, publicKey: encodePublicKey(ec.publicKey) }, authority), expected);
  assert.ok('accepted' in verdict);
  const signed = randomBytes(100);
  const raw = sign('sha256', signed, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
  const numbers = Buffer.concat([positive(raw.subarray(0, 32)), positive(raw.subarray(32))]);
  const proves = (inner: Uint8Array) =>
    provesPossession(verdict.accepted, { algorithm: 'ecdsa-sha2-nistp256-cert-v01@openssh.com', signed, signature: Buffer.concat([string('ecdsa-sha2-nistp256'), string(inner)]) });
  assert.deepEqual([proves(numbers), proves(Buffer.concat([numbers, Buffer.of(0)])), proves(numbers.subarray(0, -1)), proves(raw)], [true, false, false, false]);
});

test('an authority is a plain key, and a token that must know its owner is a token', () => {
  const onToken = Buffer.concat([string('sk-ssh-ed25519@openssh.com'), authorityBlob.subarray(4 + 'ssh-ed25519'.length), string('ssh:')]);
  const plain = forged({ signer: onToken });
  const body = plain.subarray(0, -string(string('ssh-ed25519'), string(Buffer.alloc(64))).length);
  const [hash, state] = [(data: string | Uint8Array) => createHash('sha256').update(data).digest(), Buffer.concat([Buffer.of(1), uint32(1)])];
  const touched = authority.sign(Buffer.concat([hash('ssh:'), state, hash(body)]));
  const byToken = Buffer.concat([body, string(string('sk-ssh-ed25519@openssh.com'), string(touched), state)]);
  assert.equal(faultOf(byToken, { authorities: [onToken] }), 'malformed');
  const verdict = verifyUserCertificate(forged({ critical: Buffer.concat([string('verify-required'), string('')]) }), expected);
  assert.ok('accepted' in verdict);
  const signed = randomBytes(50);
  const signature = Buffer.concat([string('ssh-ed25519'), string(sign(null, signed, user.privateKey))]);
  const proof = { algorithm: 'ssh-ed25519-cert-v01@openssh.com', signed, signature };
  assert.equal(provesPossession(verdict.accepted, proof), false);
  assert.equal(provesPossession({ ...verdict.accepted, restrictions: { ...verdict.accepted.restrictions, verifyRequired: false } }, proof), true);
});

test('a key on a token signs what its token saw: touched, and by whom', () => {
  const application = 'ssh:';
  const blob = Buffer.concat([string('sk-ssh-ed25519@openssh.com'), encodePublicKey(user.publicKey).subarray(4 + 'ssh-ed25519'.length), string(application)]);
  const verdict = verifyUserCertificate(signUserCertificate({ ...content, publicKey: blob }, authority), expected);
  assert.ok('accepted' in verdict);
  const signed = randomBytes(50);
  const proof = (flags: number, changed: Partial<typeof verdict.accepted.restrictions> = {}) => {
    const state = Buffer.concat([Buffer.of(flags), uint32(9)]);
    const hash = (data: string | Uint8Array) => createHash('sha256').update(data).digest();
    const signature = sign(null, Buffer.concat([hash(application), state, hash(signed)]), user.privateKey);
    const certificate = { ...verdict.accepted, restrictions: { ...verdict.accepted.restrictions, ...changed } };
    return provesPossession(certificate, { algorithm: 'sk-ssh-ed25519-cert-v01@openssh.com', signed, signature: Buffer.concat([string('sk-ssh-ed25519@openssh.com'), string(signature), state]) });
  };
  assert.deepEqual([proof(1), proof(0), proof(1, { verifyRequired: true }), proof(5, { verifyRequired: true })], [true, false, false, true]);
});

test('a host certificate counts for its names only', () => {
  const blob = signHostCertificate({ ...content, hosts: ['db.example.org', '10.0.0.5'] }, authority);
  const verdict = (host: string) => {
    const result = verifyHostCertificate(blob, { authorities: [authorityBlob], host, now: NOW });
    return 'accepted' in result ? 'accepted' : result.fault;
  };
  assert.deepEqual(['db.example.org', '10.0.0.5', 'example.org', '*'].map(verdict), ['accepted', 'accepted', 'wrong_principal', 'wrong_principal']);
  const forUser = verifyHostCertificate(good, { authorities: [authorityBlob], host: 'ada', now: NOW });
  assert.equal('fault' in forUser && forUser.fault, 'wrong_kind');
  const restricted = forged({ kind: 2, critical: Buffer.concat([string('force-command'), string(string('id'))]) });
  const verdictOnOption = verifyHostCertificate(restricted, { authorities: [authorityBlob], host: 'ada', now: NOW });
  assert.equal('fault' in verdictOnOption && verdictOnOption.fault, 'unknown_option');
});

test('C03 C04 nothing is signed that would mean something else to a reader', () => {
  const refused = (changed: Partial<UserContent>) => assert.throws(() => signUserCertificate({ ...content, ...changed }, authority), RangeError, JSON.stringify(changed, (_, value: unknown) => String(value)));
  refused({ principals: [] });
  for (const name of ['', ' ', 'a b', 'a,b', 'a\nb', '-oProxyCommand=x', 'a"b', '#a', '*', 'ä', 'a'.repeat(129)]) refused({ principals: ['ada', name] });
  for (const forceCommand of ['', 'id\nid', 'id\0']) refused({ forceCommand });
  for (const sourceAddresses of [[], ['10.0.0.1,0.0.0.0/0x'], ['*'], ['10.0.0.0/33'], ['']]) refused({ sourceAddresses });
  refused({ keyId: 'a\nb' });
  refused({ validBefore: content.validAfter });
  refused({ validBefore: new Date(Number.NaN) });
  refused({ publicKey: good });
  refused({ publicKey: Buffer.from('x') });
  for (const host of ['', '*', 'a b', '*.example.org', 'Example.org', '-x', 'a..b', 'fe80::1%eth0']) {
    assert.throws(() => signHostCertificate({ ...content, hosts: [host] }, authority), RangeError, host);
  }
});

test('an address is judged by its own family', () => {
  const networks = ['10.0.0.0/8', '2001:db8::/32'];
  const judged = ['10.1.2.3', '::ffff:10.1.2.3', '11.0.0.1', '2001:db8::7', '2001:db9::7', 'x', ''].map((address) => mayComeFrom(networks, address));
  assert.deepEqual(judged, [true, true, false, true, false, false, false]);
  assert.equal(mayComeFrom(['::/0'], '10.0.0.1'), false);
  assert.equal(mayComeFrom(null, '10.0.0.1'), true);
});
