/** The brokers' certificate is renewed under clients that verify it, before it runs out. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startBrokers } from '#brokers/start-brokers.ts';
import { makeId } from '#domain/id.ts';
import { renewCertificate, type ShownCertificate } from '#main/broker-certificate.ts';
import { certificateCheck } from '#main/diagnose.ts';
import { monotonic } from '#main/runtime.ts';
import { makeAuthority, openAuthority } from '#signin/certificate-authority.ts';
import { startBrokerWorld, until } from '#test/worlds/broker-world.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';
import { quiet } from '#test/worlds/postgres-store-world.ts';

const run = promisify(execFile);
const random = { bytes: (count: number) => randomBytes(count) };
const LIFE = 6;

test('psql with verify-full gets in before and after the renewal, and at a process that was started again', { timeout: 90_000 }, async () => {
  await using server = await startTestServer();
  await using world = await startBrokerWorld(server);
  const folder = await mkdtemp(join(tmpdir(), 'brevet-renewal-'));
  const kept = makeAuthority(new Date(), random);
  const authority = openAuthority(kept, random);
  await writeFile(join(folder, 'ca'), kept.certificate);
  const issue = (now: Date) => authority.issueServer(['localhost'], now, LIFE);
  const shown: ShownCertificate = { current: issue(new Date()) };
  const first = shown.current;
  const brokers = await startBrokers({
    entry: join(import.meta.dirname, '../../src/main/broker.ts'), count: 1, host: '127.0.0.1', port: 0, gate: world.gate,
    tls: { cert: first.certificate, key: first.privateKey, ca: [kept.certificate] },
    brokerIds: [makeId('broker', Date.now(), randomBytes(10))], log: () => undefined, monotonic: () => performance.now(),
  });
  const stop = new AbortController();
  const renewing = renewCertificate(shown, { issue, brokers, authority: kept.certificate, now: async () => new Date(), monotonic, journal: quiet, everyMs: 200 }, stop.signal);
  const psql = async () => {
    const { handle, secret } = world.gate.issueToken();
    const env = { PATH: process.env['PATH'] ?? '', PGHOST: 'localhost', PGPORT: String(brokers.port), PGUSER: handle, PGPASSWORD: secret, PGDATABASE: 'orders', PGSSLMODE: 'verify-full', PGSSLROOTCERT: join(folder, 'ca'), PGCONNECT_TIMEOUT: '10' };
    return (await run('psql', ['-XAtc', 'select 1'], { env })).stdout.trim();
  };
  try {
    assert.equal(await psql(), '1');
    await sleep(first.notAfter.getTime() + 1500 - Date.now());
    assert.notEqual(shown.current.certificate, first.certificate);
    assert.equal(await psql(), '1', 'the first certificate has run out, and nobody saw it');
    const [pid] = brokers.pids;
    process.kill(pid ?? 0, 'SIGKILL');
    await until(() => brokers.pids.length === 1 && brokers.pids[0] !== pid, 'another process');
    await until(async () => (await psql().catch(() => '')) === '1', 'psql to get in again');
  } finally {
    stop.abort();
    await renewing;
    await brokers.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

test('brevet doctor tells of a certificate that is not renewed, before and after it has run out', () => {
  const [renewAt, notAfter] = [new Date('2026-03-01T00:00:00Z'), new Date('2026-03-31T00:00:00Z')];
  const stateAt = (now: string) => certificateCheck({ renewAt, notAfter }, new Date(now)).state;
  assert.deepEqual(['2026-02-01T00:00:00Z', '2026-03-01T12:00:00Z', '2026-03-02T00:00:01Z', '2026-03-31T00:00:00Z'].map(stateAt), ['ok', 'ok', 'warning', 'error']);
});
