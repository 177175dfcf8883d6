/** Brevet's certificates in the hands of others: openssl, Node's TLS on both sides, a real PostgreSQL with a real psql. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { makeId } from '#domain/id.ts';
import { makeAuthority, openAuthority } from '#signin/certificate-authority.ts';
import { inspectClientCertificate } from '#signin/client-certificate.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';

const run = promisify(execFile);
const random = { bytes: (count: number) => randomBytes(count) };
const NOW = new Date();
const kept = makeAuthority(NOW, random);
const authority = openAuthority(kept, random);
const server = authority.issueServer(['localhost', '127.0.0.1', '::1'], NOW);
const principal = makeId('person', NOW.getTime(), randomBytes(10));

function newClient(kind: 'P-256' | 'Ed25519' | 'RSA', by = authority) {
  const { publicKey, privateKey } =
    kind === 'P-256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : kind === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 3072 });
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const issued = by.issueClient({ principal, grant: null, publicKey: pem, seconds: 600, now: NOW });
  return { ...issued, privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

async function files(contents: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-ca-'));
  for (const [name, text] of Object.entries(contents)) await writeFile(join(folder, name), text, { mode: 0o600 });
  return { at: (name: string) => join(folder, name), [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('openssl verifies the chain strictly, for the right purpose only', async () => {
  const stranger = openAuthority(makeAuthority(NOW, random), random);
  await using dir = await files({
    'ca.pem': kept.certificate, 'server.pem': server.certificate, 'client.pem': newClient('Ed25519').certificate,
    'stranger.pem': newClient('P-256', stranger).certificate,
  });
  const verify = (purpose: string, name: string) => run('openssl', ['verify', '-x509_strict', '-CAfile', dir.at('ca.pem'), '-purpose', purpose, dir.at(name)]);
  await verify('sslserver', 'server.pem');
  await verify('sslclient', 'client.pem');
  await assert.rejects(verify('sslclient', 'server.pem'), /purpose/);
  await assert.rejects(verify('sslserver', 'client.pem'), /purpose/);
  await assert.rejects(verify('sslclient', 'stranger.pem'), /issuer/);
  const { stdout } = await run('openssl', ['x509', '-in', dir.at('client.pem'), '-noout', '-text']);
  assert.match(stdout, new RegExp(`Subject: CN = ${principal}`));
  assert.match(stdout, new RegExp(`URI:brevet:principal/${principal}`));
  assert.match(stdout, /CA:FALSE/);
  const { stdout: ca } = await run('openssl', ['x509', '-in', dir.at('ca.pem'), '-noout', '-text']);
  assert.match(ca, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
  assert.match(ca, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
});

test('a TLS handshake in both directions, with each kind of client key; a stranger gets nowhere', async () => {
  const listener = createServer({ key: server.privateKey, cert: server.certificate, ca: [authority.certificate], requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' });
  listener.on('secureConnection', (socket: TLSSocket) => {
    const der = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
    socket.end(JSON.stringify(inspectClientCertificate(der, authority.certificate, NOW)));
  });
  listener.on('tlsClientError', () => undefined);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const dial = async (client: { certificate: string; privateKey: string } | null, options: { servername?: string; maxVersion?: 'TLSv1.2' } = {}) => {
    const socket = connect({ host: '127.0.0.1', port, ca: authority.certificate, ...(client && { key: client.privateKey, cert: client.certificate }), ...options });
    socket.setEncoding('utf8');
    let text = '';
    for await (const part of socket) text += part as string;
    return text;
  };
  try {
    for (const kind of ['P-256', 'Ed25519', 'RSA'] as const) {
      const client = newClient(kind);
      const facts = JSON.parse(await dial(client)) as { principal: string; fingerprint: string };
      assert.deepEqual([facts.principal, facts.fingerprint], [principal, client.fingerprint], kind);
    }
    assert.match(await dial(newClient('P-256'), { servername: 'localhost', maxVersion: 'TLSv1.2' }), /per_/);
    await assert.rejects(dial(newClient('P-256'), { servername: 'elsewhere.example' }), /altnames/);
    // With TLS 1.3 a client learns late, or only by the end of the stream, that it was turned away: what counts is that nothing came.
    const stranger = newClient('P-256', openAuthority(makeAuthority(NOW, random), random));
    for (const nobody of [null, stranger, server]) assert.equal(await dial(nobody).catch(() => ''), '');
  } finally {
    listener.close();
  }
});

test('a real PostgreSQL with our server certificate, and psql with a client certificate and verify-full', async () => {
  await using world = await startTestServer({ tls: { cert: server.certificate, key: server.privateKey }, hba: ['hostssl all all 127.0.0.1/32 scram-sha-256', 'host all postgres 127.0.0.1/32 scram-sha-256'] });
  const client = newClient('Ed25519');
  await using dir = await files({ 'ca.pem': kept.certificate, 'client.pem': client.certificate, 'client.key': client.privateKey });
  const uri = (mode: string, root: string) =>
    `postgresql://postgres@127.0.0.1:${world.port}/postgres?sslmode=${mode}&sslrootcert=${root}&sslcert=${dir.at('client.pem')}&sslkey=${dir.at('client.key')}`;
  const psql = (where: string) => run(`${world.bin}/psql`, [where, '-XAtc', "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"], { env: { PGPASSWORD: world.password } });
  assert.match((await psql(uri('verify-full', dir.at('ca.pem')))).stdout, /^t\|TLSv1\.3/);
  await writeFile(dir.at('other.pem'), makeAuthority(NOW, random).certificate);
  await assert.rejects(psql(uri('verify-full', dir.at('other.pem'))), /certificate verify failed/);
});
