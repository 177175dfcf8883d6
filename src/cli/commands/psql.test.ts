import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ApiDouble, type Handlers } from '#test/worlds/api-double.ts';
import { activeGrant, ana, approved, endedGrant, entitlement, grantId, page, preview, request, requestId } from '#test/worlds/api-samples.ts';
import { makeAuthority, type TestAuthority } from '#test/worlds/certificates.ts';
import { CliWorld } from '#test/worlds/cli-world.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';

const run = promisify(execFile);
const NOTHING: Handlers = { grants: () => page(), requests: () => page(), entitlements: () => page(entitlement) };

async function signedIn(handlers: Handlers) {
  const double = await ApiDouble.start(handlers);
  const world = await CliWorld.make();
  await world.signIn(double);
  return {
    double,
    world,
    run: world.run.bind(world),
    async [Symbol.asyncDispose]() {
      await double[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
      assert.deepEqual(double.complaints, []);
    },
  };
}

/** Certifies a public key for `ana`, as the server would. */
async function certify(authority: TestAuthority, publicKey: string): Promise<string> {
  const folder = dirname(authority.caFile);
  const [pub, cert] = [join(folder, 'asked.pub'), join(folder, 'asked.pem')];
  await writeFile(pub, publicKey);
  await run('openssl', ['x509', '-new', '-subj', '/CN=ana', '-force_pubkey', pub, '-CA', authority.caFile, '-CAkey', join(folder, 'ca.key'), '-days', '1', '-out', cert]);
  return readFile(cert, 'utf8');
}

test('real psql signs in with a fresh certificate, over verified TLS, and no key stays behind', async () => {
  await using authority = await makeAuthority();
  const issued = await authority.issue('server', 'localhost');
  // The server runs as another user, who has to be able to read the authority.
  const shared = await mkdtemp(join(tmpdir(), 'brevet-ca-copy-'));
  await chmod(shared, 0o755);
  await copyFile(authority.caFile, join(shared, 'ca.pem'));
  await using server = await startTestServer({
    tls: issued,
    conf: [`ssl_ca_file = '${join(shared, 'ca.pem')}'`],
    hba: ['hostssl all ana 127.0.0.1/32 cert', 'host all postgres 127.0.0.1/32 scram-sha-256'],
  });
  await server.query('create role ana login');
  const grant = { ...activeGrant(), connect: { protocol: 'postgresql' as const, host: '127.0.0.1', port: server.port, database: 'postgres', user: 'ana' } };
  let asked: { publicKey: string; grant: string } | undefined;
  await using world = await signedIn({
    grants: () => page(grant),
    issueCertificate: async ({ body }) => {
      asked = body as typeof asked;
      return { certificate: await certify(authority, (body as { publicKey: string }).publicKey), authority: authority.ca, notAfter: '2099-01-01T00:00:00Z', principal: ana.id };
    },
  });
  // What the environment says about other servers must not count.
  const env = { PGHOST: 'elsewhere.invalid', PGHOSTADDR: '192.0.2.1', PGSSLMODE: 'disable', PGUSER: 'root', PGSERVICE: 'none', PGPASSWORD: 'x' };
  const ran = await world.run(['psql', 'orders', '--', '-Atc', 'select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()'], { env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(ran.stdout, 'ana|t\n');
  assert.match(ran.stderr, /● orders-read on orders, ends .* in 17 min; this session is recorded/);
  assert.equal(asked?.grant, grantId);
  assert.deepEqual((await readdir(world.world.folder)).filter((name) => name.startsWith('brevet-')), []);

  assert.equal((await world.run(['psql', 'orders-read', '--', '-c', 'selec'])).code, 1, "psql's own exit code");
  await using wrong = await makeAuthority('Another authority');
  world.double.handlers.issueCertificate = async ({ body }) => ({ certificate: await certify(authority, (body as { publicKey: string }).publicKey), authority: wrong.ca, notAfter: '2099-01-01T00:00:00Z', principal: ana.id });
  const fooled = await world.run(['psql', 'orders', '--', '-c', 'select 1']);
  assert.equal(fooled.code, 2);
  assert.match(fooled.stderr, /certificate verify failed/);
  await rm(shared, { recursive: true });
});

test('without a grant it says how to ask; with an open request, what it waits for', async () => {
  await using world = await signedIn({ ...NOTHING });
  const none = await world.run(['psql', 'orders']);
  assert.equal(none.code, 4);
  assert.match(none.stderr, /no active grant for "orders"\n.*brevet psql orders-read --request --wait --reason/);
  assert.match((await world.run(['psql', 'nonsense'])).stderr, /neither a grant, nor an entitlement, nor a target/);
  world.double.handlers.requests = () => page(request);
  assert.match((await world.run(['psql', 'orders-read'])).stderr, new RegExp(`${requestId} still waits`));
  world.double.handlers.grant = () => endedGrant();
  assert.equal((await world.run(['psql', grantId])).code, 4);
});

test('several grants for one name: it asks which', async () => {
  const second = { ...activeGrant(), id: 'grt_01jd0000000000000000000009', entitlement: { ...activeGrant().entitlement, name: 'orders-write' } };
  await using world = await signedIn({ ...NOTHING, grants: () => page(activeGrant(), second) });
  const ran = await world.run(['psql', 'orders']);
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /several grants fit[^]*orders-read[^]*orders-write/);
});

/** A stand-in that shows what psql would be started with. */
async function fakePsql(world: CliWorld): Promise<Record<string, string>> {
  const bin = join(world.folder, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'psql'), '#!/bin/sh\nstat -c %a "$PGSSLKEY" "$(dirname "$PGSSLKEY")"\nhead -1 "$PGSSLKEY"\necho "$PGSSLMODE $PGHOST $PGPORT $PGDATABASE $PGUSER [$PGSERVICE$PGHOSTADDR] $*"\n', { mode: 0o755 });
  return { PATH: `${bin}:${process.env['PATH']}`, PGSERVICE: 'x', PGHOSTADDR: '192.0.2.1' };
}

const certificate = { certificate: 'CERT', authority: 'CA', notAfter: '2099-01-01T00:00:00Z', principal: ana.id };

test('--request --wait asks, waits in place, and goes through', async () => {
  await using world = await signedIn({
    ...NOTHING, previewRequest: () => preview, submitRequest: () => request, issueCertificate: () => certificate,
    request: ({ before }) => (before === 0 ? request : approved), grant: () => activeGrant(),
  });
  const env = await fakePsql(world.world);
  const ran = await world.run(['psql', 'orders-read', '--request', '--wait', '--reason', 'late invoices', '--', '-c', 'select 1'], { env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(ran.stdout, '600\n700\n-----BEGIN PRIVATE KEY-----\nverify-full 127.0.0.1 6432 orders-read ana [] -c select 1\n');
  assert.deepEqual(world.double.called('submitRequest').map((call) => call.body), [{ entitlement: 'orders-read', reason: 'late invoices' }]);
});

test('with a request open already, --request --wait does not ask twice', async () => {
  await using world = await signedIn({ ...NOTHING, requests: () => page(request), request: () => approved, grant: () => activeGrant(), issueCertificate: () => certificate });
  const ran = await world.run(['psql', 'orders-read', '--request', '--wait', '--reason', 'x'], { env: await fakePsql(world.world) });
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(world.double.called('submitRequest'), []);
});

test('a server that names a hostile place to connect to is not believed', async () => {
  const connect = { protocol: 'postgresql' as const, host: '127.0.0.1 hostaddr=192.0.2.1', port: 5432, database: "x'; rm", user: 'ana' };
  await using world = await signedIn({ ...NOTHING, grants: () => page({ ...activeGrant(), connect }) });
  for (const command of ['psql', 'connect']) assert.match((await world.run([command, 'orders'])).stderr, /malformed place/);
});

test('no psql here: said, with a way out', async () => {
  await using world = await signedIn({ ...NOTHING, grants: () => page(activeGrant()), issueCertificate: () => certificate });
  const bin = join(world.world.folder, 'bare');
  await mkdir(bin);
  for (const name of ['sh', 'readlink', 'dirname', 'node']) await copyFile((await run('which', [name])).stdout.trim(), join(bin, name));
  const ran = await world.run(['psql', 'orders'], { env: { PATH: bin } });
  assert.equal(ran.code, 7);
  assert.match(ran.stderr, /psql is not installed here/);
});

test('connect: a one-time secret as lines for the shell, as an address, as JSON; quoted where it must be', async () => {
  const token = { user: 'ana', password: "bvt_a'b/c?d", expiresAt: '2099-01-01T00:00:00Z', authority: 'CA', connect: activeGrant().connect as NonNullable<ReturnType<typeof activeGrant>['connect']> };
  await using world = await signedIn({ ...NOTHING, grants: () => page(activeGrant()), connectionToken: () => token, authority: () => ({ certificate: 'CA' }) });
  const env = await world.run(['connect', 'orders', '--token', '--env']);
  assert.match(env.stdout, /^export PGHOST='127\.0\.0\.1'$/m);
  const read = await run('sh', ['-c', `${env.stdout}\nprintf %s "$PGPASSWORD"; cat "$PGSSLROOTCERT"`]);
  assert.equal(read.stdout, "bvt_a'b/c?dCA");
  const url = new URL((await world.run(['connect', 'orders', '--token', '--url'])).stdout);
  assert.deepEqual([decodeURIComponent(url.password), url.searchParams.get('sslmode'), url.pathname], ["bvt_a'b/c?d", 'verify-full', '/orders-read']);
  assert.deepEqual(JSON.parse((await world.run(['connect', 'orders', '--token', '--json'])).stdout), token);
  const plain = await world.run(['connect', 'orders']);
  assert.doesNotMatch(plain.stdout, /bvt_/);
  assert.equal(world.double.called('connectionToken').length, 3);
});

test('a grant that raises an account of the holder: where to sign in is said, by psql and by connect', async () => {
  const live = activeGrant();
  const raised = { ...live, connect: null, parts: live.parts.map((part) => ({ ...part, kind: 'temporary_elevation', account: 'ana_dba' })) };
  await using world = await signedIn({ grants: () => page(raised) });
  for (const command of ['psql', 'connect']) {
    const ran = await world.run([command, 'orders-read']);
    assert.equal(ran.code, 5);
    assert.match(ran.stderr, /sign in to the target orders with your own account ana_dba/);
  }
});
