/** The store on a PostgreSQL that speaks TLS: what is accepted, what is refused, and in which words. */
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test as declare } from 'node:test';
import { makeAuthority, type TestAuthority } from '#test/worlds/certificates.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { spawnServer } from '#test/worlds/server-process.ts';

const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 60_000 }, work);
let authority: TestAuthority;
let server: TestServer;
let folder: string;
before(async () => {
  authority = await makeAuthority();
  folder = await mkdtemp(join(tmpdir(), 'brevet-store-tls-'));
  await chmod(folder, 0o755); // PostgreSQL's user reads the authority there
  await copyFile(authority.caFile, join(folder, 'ca.pem'));
  await chmod(join(folder, 'ca.pem'), 0o644);
  const { cert, key } = await authority.issue('server', 'localhost');
  const hba = ['local all all scram-sha-256', 'hostnossl all postgres 127.0.0.1/32 scram-sha-256', 'hostssl all postgres 127.0.0.0/8 scram-sha-256', 'hostssl all proven 127.0.0.1/32 scram-sha-256 clientcert=verify-ca'];
  server = await startTestServer({ tls: { cert, key }, hba, conf: ["listen_addresses = '127.0.0.1,127.0.0.2'", `ssl_ca_file = '${folder}/ca.pem'`] });
  await server.query("create role proven superuser login password 'of-proven'");
  await server.query('create database brevet');
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const urlOf = (query: string, { host = '127.0.0.1', user = 'postgres', password = server.password } = {}) => `postgresql://${user}:${password}@${host}:${server.port}/brevet${query === '' ? '' : `?${query}`}`;
const start = (url: string) => spawnServer({ BREVET_DATA: folder, BREVET_BROKER_PROCESSES: '0', DATABASE_URL: url });

/** Starts a server, asks PostgreSQL whether all its connections are encrypted, and stops it. */
async function encrypted(url: string): Promise<readonly boolean[]> {
  await using brevet = await start(url);
  const { rows } = await server.query("select s.ssl from pg_stat_activity a join pg_stat_ssl s using (pid) where a.application_name = 'brevet' and a.datname = 'brevet'");
  assert.doesNotMatch(brevet.said(), /SECURITY WARNING|Warning:/);
  assert.equal(await brevet.stop(), 0);
  return rows.map(({ ssl }: { ssl: boolean }) => ssl);
}
const refusal = (url: string) => start(url).then(
  async (brevet) => {
    await brevet[Symbol.asyncDispose]();
    throw new Error('it started');
  },
  (error: Error) => {
    assert.doesNotMatch(error.message, /SECURITY WARNING|test-superuser|\n\s+at /);
    return error.message;
  },
);

test('with its authority given, every connection of the store is encrypted and checked, also with sslmode=require', async () => {
  for (const mode of ['require', 'verify-full']) {
    const connections = await encrypted(urlOf(`sslmode=${mode}&sslrootcert=${authority.caFile}`));
    assert.ok(connections.length > 1 && connections.every((ssl) => ssl), `${mode}: ${connections}`);
  }
  const own = await authority.issue('client', 'proven');
  const proven = await encrypted(urlOf(`sslmode=require&sslrootcert=${authority.caFile}&sslcert=${own.folder}/cert.pem&sslkey=${own.folder}/key.pem`, { user: 'proven', password: 'of-proven' }));
  assert.ok(proven.length > 1 && proven.every((ssl) => ssl));
  assert.ok((await encrypted(urlOf(''))).every((ssl) => !ssl), 'without a word of it there is no TLS');
});

test('a certificate that is not trusted, or for another name, is told with what to do', async () => {
  assert.match(await refusal(urlOf('sslmode=require')), /can't be used: its certificate is by no authority that is trusted [^]*Add sslrootcert=FILE to DATABASE_URL/);
  await using stranger = await makeAuthority('Somebody else');
  assert.match(await refusal(urlOf(`sslmode=verify-full&sslrootcert=${stranger.caFile}`)), /by no authority that is trusted/);
  const elsewhere = { host: '127.0.0.2' };
  assert.match(await refusal(urlOf(`sslmode=require&sslrootcert=${authority.caFile}`, elsewhere)), /its certificate is for another name[^]*sslmode=verify-ca leaves the name out/);
  assert.ok((await encrypted(urlOf(`sslmode=verify-ca&sslrootcert=${authority.caFile}`, elsewhere))).every((ssl) => ssl));
  assert.match(await refusal(urlOf(`sslmode=verify-ca&sslrootcert=${stranger.caFile}`, elsewhere)), /by no authority that is trusted/);
  assert.match(await refusal(urlOf('sslmode=no-verify')), /DATABASE_URL has sslmode=no-verify, which Brevet does not know/);
});

test('a server that does not speak TLS is told; one that signed its own certificate is trusted by that', async () => {
  await using plain = await startTestServer();
  assert.match(await refusal(`postgresql://postgres:${plain.password}@127.0.0.1:${plain.port}/postgres?sslmode=require`), /does not speak TLS, and sslmode asks for it/);
  await using alone = await makeAuthority('localhost');
  await using itself = await startTestServer({ tls: { cert: alone.ca, key: await readFile(join(dirname(alone.caFile), 'ca.key'), 'utf8') } });
  const url = `postgresql://postgres:${itself.password}@localhost:${itself.port}/postgres?sslmode=require`;
  assert.match(await refusal(url), /by no authority that is trusted [^]*or the server's own if it signed itself/);
  await using brevet = await start(`${url}&sslrootcert=${alone.caFile}`);
  assert.equal(await brevet.stop(), 0);
});
