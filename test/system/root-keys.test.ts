/** `brevet root-key rotate` and `retire` beside real servers at work, killed in the middle, and beside an embedded store. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RootKeyList, RotatedRootKey } from '#cli/deps.ts';
import type { Answer } from '#contract/routes.ts';
import { verifyLog } from '#log/verifier.ts';
import { approve, ask, envFor, hold, must, psql } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, callerWith, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import { spawnServer } from '#test/worlds/server-process.ts';
import { person } from '#test/worlds/store-world.ts';

const BREVET = join(import.meta.dirname, '../../bin/brevet');
type Env = Readonly<Record<string, string>>;

/** Runs `brevet root-key ...`; with `killAt` it is killed when that stands on standard error, so many milliseconds later. */
async function keys(env: Env, args: readonly string[], killAt?: { readonly said: RegExp; readonly afterMs: number }): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(BREVET, ['root-key', ...args], { env: { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), ...env }, cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes) => (stdout += bytes));
  child.stderr.on('data', (bytes) => {
    const before = stderr;
    stderr += bytes;
    if (killAt?.said.test(stderr) === true && !killAt.said.test(before)) setTimeout(() => child.kill('SIGKILL'), killAt.afterMs);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
async function said<T>(env: Env, ...args: readonly string[]): Promise<T> {
  const ran = await keys(env, [...args, '--json']);
  assert.equal(ran.code, 0, ran.stderr);
  return JSON.parse(ran.stdout) as T;
}

/** Asks, works and gives back until it is told to stop; answers the grants. Whatever fails, fails the test. */
async function work(world: BrevetWorld, over: () => boolean): Promise<string[]> {
  const [ada, kim] = [await world.as('ada'), await world.as('kim')];
  const grants: string[] = [];
  while (!over()) {
    const request = await approve(kim, await ask(ada, 'orders-write', { duration: 60 }));
    const grant = await world.until('ada', request.grant ?? '', 'active');
    assert.equal(await psql(await envFor(world, 'ada', grant.id), "select 'worked'"), 'worked');
    await must(ada.post(`/api/v1/grants/${grant.id}/finish`));
    grants.push(grant.id);
  }
  return grants;
}

test('a rotation beside two servers at work, killed three times: nothing stops, and without the old key everything opens', { timeout: 180_000 }, async (t) => {
  await using world = await brevetWorld({ servers: 1, env: { BREVET_LOG_PUBLIC: 'true' } });
  await world.another();
  const env = { BREVET_DATA: world.data, DATABASE_URL: world.database.url };
  const { store } = world.server.app;
  // Enough that a run is killed in the middle of it.
  for (let n = 0; n < 15; n++) await store.transaction(async (tx) => { for (let m = 0; m < 100; m++) await tx.principals.insert(person()); });
  const [ada, kim, sam] = [await world.as('ada'), await world.as('kim'), await world.as('sam')];
  const before = await said<RootKeyList>(env, 'list');
  assert.deepEqual([before.keys.length, before.keys[0]?.state, before.servers.length], [1, 'in_force', 2]);
  const long = await world.until('ada', (await approve(kim, await ask(ada, 'orders-write', { duration: 600 }))).grant ?? '', 'active');
  const held = await hold(await envFor(world, 'ada', long.id));
  await held.client.query("select 'before'");

  let over = false;
  const working = work(world, () => over);
  for (const killAt of [{ said: /waiting for/, afterMs: 100 }, { said: /wrapping everything/, afterMs: 60 }, { said: /wrapping everything/, afterMs: 250 }]) {
    const killed = await keys(env, ['rotate'], killAt);
    t.diagnostic(`killed ${killAt.afterMs} ms after ${killAt.said}: ${killed.code === null ? 'in the middle' : 'too late'}`);
    assert.equal((await said<RootKeyList>(env, 'list')).keys.length, 2, 'a run that was cut short makes no third key in the end');
    assert.deepEqual((await held.client.query<{ word: string }>("select 'meanwhile' as word")).rows, [{ word: 'meanwhile' }]);
    if (killed.code !== null) break;
  }
  const left = await said<RootKeyList>(env, 'list');
  const done = await said<RotatedRootKey>(env, 'rotate');
  assert.deepEqual([done.made, done.left, done.broken], [false, 0, []]);
  assert.ok(done.rewrapped > 0, `the last run had something to do: ${JSON.stringify(left.keys)}`);
  const retired = await said<{ retired: string[]; deleted: string[] }>(env, 'retire', '--yes');
  assert.deepEqual(retired, { retired: [before.keys[0]?.id], deleted: [before.keys[0]?.id] });
  assert.deepEqual((await readdir(world.data)).filter((name) => name.startsWith('root.key')), ['root.key.2']);
  assert.equal((await stat(join(world.data, 'root.key.2'))).mode & 0o777, 0o600);
  await sleep(2500);
  over = true;
  const grants = await working;
  t.diagnostic(`${grants.length} grants were asked for, used and given back meanwhile; ${done.rewrapped} values for the last run`);
  for (const grant of grants) await world.until('ada', grant, 'ended', 20_000);
  await must(ada.post(`/api/v1/grants/${long.id}/finish`));
  await held.lost;
  await world.until('ada', long.id, 'ended', 20_000);
  assert.deepEqual(await world.roles(), []);

  // A server that never saw the old key opens every recording, and signs on with the log's key.
  const fresh = await world.another();
  const at = callerWith(fresh.address, ada.name, ada.keyId, ada.privateKey);
  const { items } = await must(at.get<Answer<'sessions'>>('/api/v1/sessions?limit=500'));
  assert.equal(items.length, grants.length + 1);
  for (const { id } of items) assert.ok((await must(at.get<Answer<'recording'>>(`/api/v1/sessions/${id}/recording`))).statements.length > 0);
  // Asked for by type: a quick machine writes more than a page of entries meanwhile.
  const logged = async (type: string) => (await must(sam.get<Answer<'logEntries'>>(`/api/v1/log/entries?limit=500&type=${type}`))).items.map((entry) => entry.type);
  const told = (await Promise.all(['root_key.brought_in', 'root_key.retired', 'root_key.rotated'].map(logged))).flat();
  assert.deepEqual(told, ['root_key.brought_in', 'root_key.retired', 'root_key.rotated']);
  const verified = await verifyLog({ read: async (path) => {
    const reply = await fetch(`${fresh.address}/log/${path}`);
    return reply.status === 200 ? new Uint8Array(await reply.arrayBuffer()) : null;
  } });
  assert.deepEqual([verified.ok, verified.findings], [true, []]);
});

test('beside the embedded store, running and stopped; keys given by BREVET_ROOT_KEY are changed by hand', { timeout: 120_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), 'brevet-keys-'));
  await chmod(data, 0o711);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(data, { recursive: true, force: true }));
  const env = { BREVET_DATA: data };
  const missing = await keys({ BREVET_DATA: join(data, 'elsewhere') }, ['list']);
  assert.deepEqual([missing.code, /there is no database/.test(missing.stderr)], [4, true]);

  const first = stack.use(await spawnServer({ ...env, BREVET_BROKER_PROCESSES: '0' }));
  const made = await said<RotatedRootKey>(env, 'rotate');
  assert.deepEqual([made.made, made.left], [true, 0]);
  assert.equal(await first.stop(), 0, first.said());
  const list = await keys(env, ['list']);
  assert.equal(list.code, 0, list.stderr);
  assert.match(list.stdout, new RegExp(`${made.key} +in force: seals +4 own keys, 1 subject key`));
  await said(env, 'retire', '--yes');
  const again = stack.use(await spawnServer({ ...env, BREVET_BROKER_PROCESSES: '0' }));
  await again.stop();

  const [old, next] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
  await mkdir(join(data, 'given'), { mode: 0o711 });
  const given = { BREVET_DATA: join(data, 'given'), BREVET_BROKER_PROCESSES: '0' };
  const by = stack.use(await spawnServer({ ...given, BREVET_ROOT_KEY: old }));
  const hint = await keys({ ...given, BREVET_ROOT_KEY: old }, ['rotate']);
  assert.deepEqual([hint.code, /openssl rand -base64 32/.test(hint.stderr)], [2, true]);
  await by.stop();
  const both = { ...given, BREVET_ROOT_KEY: `${next} ${old}` };
  const second = stack.use(await spawnServer(both));
  const done = await said<RotatedRootKey>(both, 'rotate');
  assert.deepEqual([done.made, done.left], [false, 0]);
  assert.match((await keys(both, ['retire', '--yes'])).stdout, /leave only the newest key in BREVET_ROOT_KEY/);
  await second.stop();
  await assert.rejects(spawnServer({ ...given, BREVET_ROOT_KEY: old }), /does not open what this database holds/);
  await stack.use(await spawnServer({ ...given, BREVET_ROOT_KEY: next })).stop();
});
