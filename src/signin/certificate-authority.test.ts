import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { makeId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { makeAuthority, openAuthority } from './certificate-authority.ts';
import { inspectClientCertificate } from './client-certificate.ts';
import { signCertificate, type CertificateContent } from './x509.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const NOW = new Date('2026-09-22T08:00:00.500Z');
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
const PERSON = makeId('person', NOW.getTime(), randomBytes(10));
const GRANT = makeId('grant', NOW.getTime(), randomBytes(10));
const spki = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }).toString();
const kept = makeAuthority(NOW, random);
const authority = openAuthority(kept, random);
const client = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ask = { principal: PERSON, grant: GRANT, publicKey: spki(client.publicKey), seconds: 3600, now: NOW };
const derOf = (pem: string) => new X509Certificate(pem).raw;
const refused = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;
const inspect = (der: Uint8Array, now = NOW) => inspectClientCertificate(der, authority.certificate, now);

test('a client certificate says who, for which grant, until when; and what is stored of it fits', () => {
  const issued = authority.issueClient(ask);
  const facts = inspect(derOf(issued.certificate));
  const { serial, fingerprint, notAfter } = issued;
  assert.deepEqual(facts, { principal: PERSON, grant: GRANT, serial, fingerprint, notAfter });
  assert.deepEqual(notAfter, new Date('2026-09-22T09:00:00Z'));
  assert.match(serial, /^[4-7][0-9a-f]{31}$/);
  assert.notEqual(authority.issueClient(ask).serial, serial);
  assert.equal(inspect(derOf(authority.issueClient({ ...ask, grant: null }).certificate)).grant, null);
});

test('time: a minute of backdating, never longer than 12 hours, never beyond the authority', () => {
  const { certificate, notAfter } = authority.issueClient({ ...ask, seconds: 30 * 86_400 });
  assert.deepEqual(notAfter, new Date('2026-09-22T20:00:00Z'));
  assert.ok(inspect(derOf(certificate), later(-60)));
  assert.throws(() => inspect(derOf(certificate), later(-62)), refused('unauthenticated'));
  assert.throws(() => inspect(derOf(certificate), later(12 * 3600 + 1)), /ended at 2026-09-22T20:00:00/);
  const nearEnd = later(3653 * 86_400 - 100);
  assert.ok(authority.issueClient({ ...ask, now: nearEnd }).notAfter.getTime() <= later(3653 * 86_400).getTime());
  assert.throws(() => authority.issueClient({ ...ask, now: later(3653 * 86_400 + 1) }), refused('unavailable'));
});

test('only certificates that this authority made for clients are read', () => {
  const other = openAuthority(makeAuthority(NOW, random), random);
  assert.throws(() => inspect(derOf(other.issueClient(ask).certificate)), /not issued by/);
  assert.throws(() => inspect(derOf(authority.issueServer(['broker.example'], NOW).certificate)), /not a client certificate/);
  assert.throws(() => inspect(derOf(authority.certificate)), refused('unauthenticated'));
  const der = derOf(authority.issueClient(ask).certificate);
  for (let at = 0; at < der.length; at++) {
    const altered = Uint8Array.from(der);
    altered[at] = (altered[at] as number) ^ 1;
    assert.throws(() => inspect(altered), refused('unauthenticated'), `byte ${at}`);
  }
  assert.throws(() => inspect(Buffer.concat([der, Buffer.of(0)])), refused('unauthenticated'));
  assert.throws(() => inspect(new Uint8Array()), refused('unauthenticated'));
});

test('a certificate of our authority in any other form is not taken for a client of ours', () => {
  const issuer = /CN=(.+)/.exec(new X509Certificate(kept.certificate).subject)?.[1] as string;
  const base: CertificateContent = {
    use: 'client', issuer, subject: PERSON, names: [{ uri: `brevet:principal/${PERSON}` }],
    publicKey: client.publicKey.export({ format: 'der', type: 'spki' }), notBefore: NOW, notAfter: later(60), serial: randomBytes(16),
  };
  const made = (change: Partial<CertificateContent>) => derOf(signCertificate({ ...base, ...change }, createPrivateKey(kept.privateKey)));
  assert.equal(inspect(made({}), later(1)).principal, PERSON);
  const forms: Partial<CertificateContent>[] = [
    { use: 'server' },
    { use: 'authority' },
    { subject: makeId('person', 0, new Uint8Array(10)) },
    { subject: `${PERSON}\nCN=root` },
    { names: [] },
    { names: [{ uri: 'brevet:principal/root' }] },
    { names: [{ dns: `x, URI:brevet:principal/${PERSON}` }] },
    { names: [{ uri: `brevet:principal/${PERSON}` }, { uri: `brevet:principal/${PERSON}` }] },
    { names: [{ uri: `brevet:principal/${PERSON}` }, { uri: 'brevet:grant/*' }] },
    { names: [{ uri: `brevet:principal/${PERSON}, URI:brevet:grant/${GRANT}` }] },
    { names: [{ uri: `brevet:grant/${GRANT}` }] },
  ];
  for (const form of forms) assert.throws(() => inspect(made(form), later(1)), refused('unauthenticated'), JSON.stringify(form));
});

test('a server certificate: names and addresses as given, 90 days, renewed at 60', () => {
  const { certificate, notAfter, renewAt } = authority.issueServer(['broker.example', 'localhost', '127.0.0.1', '::1', '2001:db8::7:0:1', '::ffff:10.0.0.1'], NOW);
  const read = new X509Certificate(certificate);
  for (const host of ['broker.example', 'localhost']) assert.equal(read.checkHost(host), host);
  for (const ip of ['127.0.0.1', '::1', '2001:db8:0:0:0:7:0:1', '::ffff:a00:1']) assert.ok(read.checkIP(ip), ip);
  assert.equal(read.checkHost('other.example'), undefined);
  assert.deepEqual([notAfter, renewAt], [new Date('2026-12-21T08:00:00Z'), later(60 * 86_400)]);
  for (const bad of ['', 'a b', '*.example', 'Broker.example', '-a.example', 'a..b', 'fe80::1%eth0', 'x'.repeat(64), 'a\0b']) {
    assert.throws(() => authority.issueServer(['ok.example', bad], NOW), refused('invalid_configuration'), bad);
  }
  assert.throws(() => authority.issueServer([], NOW), refused('invalid_configuration'));
});

test('a key that does not belong to the certificate is noticed at start', () => {
  const stranger = makeAuthority(NOW, random);
  assert.throws(() => openAuthority({ ...kept, privateKey: stranger.privateKey }, random), refused('invalid_configuration'));
  const server = authority.issueServer(['broker.example'], NOW);
  assert.throws(() => openAuthority(server, random), refused('invalid_configuration'));
});

test('weak client keys are refused', () => {
  assert.throws(() => authority.issueClient({ ...ask, publicKey: spki(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey) }), refused('invalid_input'));
});

test('dates from 2050 on are written as RFC 5280 wants them', () => {
  const at = new Date('2049-12-31T12:00:00Z');
  const far = openAuthority(makeAuthority(at, random), random);
  const { certificate } = far.issueClient({ ...ask, now: at, seconds: 12 * 3600 });
  const read = new X509Certificate(certificate);
  assert.deepEqual([read.validFromDate, read.validToDate], [new Date('2049-12-31T11:59:00Z'), new Date('2050-01-01T00:00:00Z')]);
});
