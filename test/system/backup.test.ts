/** docs/backup.md, tried: a dump and the root key, kept apart, are enough to go on; one without the other is not. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { applyIn } from '#app/configuration/apply-configuration.ts';
import { setTargetSecret } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { Refusal } from '#domain/refusal.ts';
import { verifyLog } from '#log/verifier.ts';
import { fillSampleDatabase } from '#main/demo/sample-database.ts';
import { demoFiles } from '#main/demo/world.ts';
import { readSettings } from '#main/settings.ts';
import { startServer, type RunningServer } from '#main/start-server.ts';
import { approve, ask, eventually, must } from '#test/worlds/brevet-steps.ts';
import { callerWith, signIn, type Caller } from '#test/worlds/brevet-world.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';
import { spawnServer } from '#test/worlds/server-process.ts';

const run = promisify(execFile);
type Grant = Answer<'grant'>;

const at = (server: RunningServer, { name, keyId, privateKey }: Caller) => callerWith(server.address, name, keyId, privateKey);
const logOf = (server: RunningServer) => async (path: string) => {
  const reply = await fetch(`${server.address}/log/${path}`);
  return reply.status === 200 ? new Uint8Array(await reply.arrayBuffer()) : null;
};
async function checkpointOf(server: RunningServer, atLeast: number): Promise<Uint8Array> {
  return await eventually(`a checkpoint of ${atLeast} entries`, 5000, async () => {
    const note = await logOf(server)('checkpoint');
    return note && Number(Buffer.from(note).toString().split('\n')[1]) >= atLeast && note;
  });
}
const sizeOf = (note: Uint8Array) => Number(Buffer.from(note).toString().split('\n')[1]);

test('a dump and the root key bring Brevet back: grants end, what the backup does not know is swept, and auditors see the gap', { timeout: 120_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await startTestServer());
  const target = stack.use(await startTestServer());
  const folder = await mkdtemp(join(tmpdir(), 'brevet-backup-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await run('chmod', ['755', folder]);
  const [data, elsewhere, fresh] = ['data', 'elsewhere', 'fresh'].map((name) => join(folder, name)) as [string, string, string];
  for (const each of [data, elsewhere, fresh]) await mkdir(each);
  await store.query('create database brevet');
  await fillSampleDatabase({ host: target.host, port: target.port, user: target.user, password: target.password }, 'of-brevet-admin');
  const start = (database: string, from: string) => startServer(readSettings({
    DATABASE_URL: store.url(database), BREVET_DATA: from, BREVET_HTTP_PORT: '0', BREVET_BROKER_PROCESSES: '0', BREVET_JOURNAL: 'silent', BREVET_LOG_PUBLIC: 'true',
  }, null));
  const roles = async () => (await target.query("select rolname from pg_roles where rolname like 'brevet\\_0%' order by 1")).rows.map((row: { rolname: string }) => row.rolname);
  const until = (caller: Caller, id: string | null, state: Grant['state']) => eventually(`${id} is ${state}`, 20_000, async () => {
    const grant = await must(caller.get<Grant>(`/api/v1/grants/${id}`));
    return grant.state === state && grant;
  });

  const before = await start('brevet', data);
  let ended = false;
  stack.defer(async () => void (ended || (await before.stop())));
  await before.app.store.transaction(async (tx) => {
    await applyIn(before.app, tx, demoFiles(target.port), null, 'system');
    for (const { id } of await tx.catalogue.targets()) await setTargetSecret(before.app, tx, id, null, 'of-brevet-admin');
  });
  const ada = await signIn(before, 'ada');
  const sam = await signIn(before, 'sam');
  const [kim, ines] = [await signIn(before, 'kim'), await signIn(before, 'ines')];
  const raise = async () => {
    const asked = await ask(ada, 'orders-admin', { duration: 900 });
    await approve(kim, asked);
    return await until(ada, (await approve(ines, asked)).grant, 'active');
  };
  const raised = async () => (await target.query("select pg_has_role('ada', 'shop_operator', 'usage') as yes")).rows[0] as { yes: boolean };
  const known = await until(ada, (await ask(ada, 'orders-read', { ticket: 'SHOP-1', duration: 900 })).grant, 'active');

  const lasting = await raise();

  // Before the dump: what is numbered after it the restored server numbers anew.
  const kept = await checkpointOf(before, 1);
  const dump = join(folder, 'brevet.dump');
  await run(join(store.bin, 'pg_dump'), ['--format=custom', `--file=${dump}`, store.url('brevet')]);
  await copyFile(join(data, 'root.key'), join(elsewhere, 'root.key'));

  const unknown = await until(ada, (await ask(ada, 'orders-read', { ticket: 'SHOP-2', duration: 900 })).grant, 'active');
  const forgotten = await raise();
  const later = await checkpointOf(before, sizeOf(kept) + 4);
  const objects = (...grants: Grant[]) => grants.map(({ parts }) => parts[0]?.object).toSorted();
  assert.deepEqual(await roles(), objects(known, unknown, lasting, forgotten));
  await before.stop();
  ended = true;

  await store.query('create database restored');
  await run(join(store.bin, 'pg_restore'), ['--exit-on-error', `--dbname=${store.url('restored')}`, dump]);
  const refused = (message: RegExp) => (error: unknown) => error instanceof Refusal && error.code === 'invalid_configuration' && message.test(error.message);
  await assert.rejects(start('restored', fresh), refused(/there is no root key/));
  await store.query('create database another');
  await (await start('another', fresh)).stop();
  await assert.rejects(start('restored', fresh), refused(/does not open what this database holds/));

  const restored = await start('restored', elsewhere);
  stack.defer(() => restored.stop());
  const size = sizeOf(await checkpointOf(restored, 1));
  assert.ok(size < sizeOf(later));
  const whole = await verifyLog({ read: logOf(restored), kept: [kept] });
  assert.deepEqual([whole.ok, whole.findings], [true, []]);
  const gap = await verifyLog({ read: logOf(restored), kept: [later] });
  assert.deepEqual(gap.findings.map(({ kind }) => kind), ['size_regression'], 'whoever kept a later checkpoint sees that entries are missing');

  // The enrolled keys work, the grant that is known can be given back, the one that is not has lost its account.
  await must(at(restored, ada).post(`/api/v1/grants/${known.id}/finish`));
  await until(at(restored, ada), known.id, 'ended');
  await eventually('the sweep', 80_000, async () => (await roles()).length === 1);
  assert.deepEqual([await roles(), await raised()], [objects(lasting), { yes: true }], 'the elevation that the backup knows stands');
  await must(at(restored, ada).post(`/api/v1/grants/${lasting.id}/finish`));
  await until(at(restored, ada), lasting.id, 'ended');
  assert.deepEqual([await roles(), await raised()], [[], { yes: false }]);
  assert.equal((await at(restored, ada).get(`/api/v1/grants/${unknown.id}`)).status, 404);
  const swept = await eventually('its entry', 3000, async () => {
    const { items } = await must(at(restored, sam).get<Answer<'logEntries'>>('/api/v1/log/entries?type=sweep.removed'));
    return items.length > 1 && items;
  });
  assert.deepEqual(swept.map(({ data: said }) => said['object']).toSorted(), objects(unknown, forgotten));
});

test('the embedded store: stopped, its folder copied without the root key, and started elsewhere with it', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-backup-'));
  await chmod(folder, 0o711);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const [data, copy] = [join(folder, 'data'), join(folder, 'copy')] as const;
  for (const each of [data, copy]) await mkdir(each, { mode: 0o711 });
  const first = await spawnServer({ BREVET_DATA: data, BREVET_BROKER_PROCESSES: '0' });
  stack.defer(() => first.stop().then(() => undefined));
  assert.match(first.said(), /Sign in as admin/);
  assert.equal(await first.stop(), 0);

  await run('cp', ['-a', join(data, 'store'), join(copy, 'store')]);
  await rename(data, join(folder, 'lost'));
  await assert.rejects(spawnServer({ BREVET_DATA: copy, BREVET_BROKER_PROCESSES: '0' }), /there is no root key/);
  await copyFile(join(folder, 'lost/root.key'), join(copy, 'root.key'));
  const again = await spawnServer({ BREVET_DATA: copy, BREVET_BROKER_PROCESSES: '0' });
  stack.defer(() => again.stop().then(() => undefined));
  assert.doesNotMatch(again.said(), /Sign in as admin/, 'its administrator is there already');
});
