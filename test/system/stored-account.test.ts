/** A brokered session shares a stored account of the target: what it changes of it ends with the grant. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { setTargetSecret } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { ADMIN } from '#main/demo/sample-database.ts';
import { demoFiles } from '#main/demo/world.ts';
import { envFor, eventually, hold, must, psql, storyOf } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';

const run = promisify(execFile);
type Entries = Answer<'logEntries'>;

const filesFor = (port: number) => demoFiles(port).map((file) => (file.path === 'world.yaml' ? {
  ...file,
  text: `${file.text}
  reports:
    title: Work as the reports account
    folder: shop
    maximum: 1h
    default: 10m
    parts: [{ target: orders, kind: brokered_session, account: reporting, scope: { database: orders } }]
    stages: [{ name: team lead, groups: [order-leads], required: 1 }]
`,
} : file));

let world: BrevetWorld;
before(async () => {
  world = await brevetWorld({ files: filesFor, target: { conf: ['authentication_timeout = 2s'] } });
  await world.target.query(`create role reporting login password 'of-reporting'; alter role reporting set work_mem = '8MB'; grant connect on database orders to reporting;
    grant usage on schema shop to reporting; grant select on shop.orders to reporting`, [], 'orders');
  await world.server.app.store.transaction(async (tx) => {
    const target = await tx.catalogue.targetByName('orders');
    assert.ok(target);
    await setTargetSecret(world.server.app, tx, target.id, 'reporting', 'of-reporting');
  });
});
after(() => world[Symbol.asyncDispose]());

/** The real psql straight at the target, past the broker. */
const direct = (password: string, sql = 'select current_user') =>
  run('psql', ['-wXAtc', sql], { env: { PATH: process.env['PATH'] ?? '', PGHOST: world.target.host, PGPORT: String(world.target.port), PGUSER: 'reporting', PGPASSWORD: password, PGDATABASE: 'orders' } })
    .then(({ stdout }) => stdout.trim(), (error: { stderr: string }) => error.stderr.trim());
const settings = async () => (await world.target.query("select array_to_string(rolconfig, ';') as set from pg_roles where rolname = 'reporting'")).rows[0] as { set: string };

test('A12, B15: a session sets its account\'s password and settings: at the deadline it is cut, both are put back, and the log tells', { timeout: 60_000 }, async () => {
  const grant = await world.grant('ada', 'reports', { seconds: 8, approvers: ['noor'] });
  const env = await envFor(world, 'ada', grant.id);
  assert.equal(await psql(env, "alter role current_user password 'of-ada-now'; alter role reporting set work_mem = '1GB'; select current_user"), 'ALTER ROLE\nALTER ROLE\nreporting');
  assert.match(await direct('of-reporting'), /password authentication failed/);
  assert.equal(await direct('of-ada-now'), 'reporting', 'as long as the grant lives nobody looks');
  const held = await hold(env).catch((error: Error) => error.message);
  assert.ok(typeof held === 'string', 'the broker knows the stored password only');
  const past = direct('of-ada-now', 'select pg_sleep(60)');

  assert.match(await past, /terminating connection|server closed the connection/);
  await eventually('the stored password again', 3000, async () => (await direct('of-reporting')) === 'reporting');
  assert.match(await direct('of-ada-now'), /password authentication failed/);
  assert.deepEqual(await settings(), { set: 'work_mem=8MB' });
  await world.until('ada', grant.id, 'ended', 20_000);

  const sam = await world.as('sam');
  const { items } = await eventually('the entry', 3000, async () => {
    const page = await must(sam.get<Entries>(`/api/v1/log/entries?grant=${grant.id}&type=grant.part_absent`));
    return page.items.length > 0 && page;
  });
  const residue = items[0]?.data['residue'] as { kind: string }[];
  assert.deepEqual(residue.map(({ kind }) => kind), ['password_changed', 'settings_changed']);
  assert.equal((await storyOf(world, grant.id)).at(-1), 'grant.ended');
  const { rows } = await world.database.pool.query("select coalesce(string_agg(body, ' '), '') || coalesce((select string_agg(prior::text || evidence::text, ' ') from brevet.grant_parts), '') as text from brevet.log_entries");
  assert.doesNotMatch((rows[0] as { text: string }).text, /of-ada-now|of-reporting|SCRAM-SHA-256\$/);
  assert.doesNotMatch(JSON.stringify(await sam.get(`/api/v1/grants/${grant.id}`)), /of-ada-now|of-reporting|SCRAM-SHA-256\$/);
});

test('B12: two grants on one account: the first to end puts the account right and leaves the other\'s session alone', { timeout: 60_000 }, async () => {
  const one = await world.grant('ada', 'reports', { seconds: 600, approvers: ['noor'] });
  const mine = await hold(await envFor(world, 'ada', one.id));
  await mine.client.query("alter role reporting set work_mem = '1GB'");
  // Whoever looks only now sees what the session has set: it is not what was.
  const other = await world.grant('kim', 'reports', { seconds: 600, approvers: ['noor'] });
  const kept = await hold(await envFor(world, 'kim', other.id));
  await mine.client.query("alter role current_user password 'of-ada-again'");
  const past = direct('of-ada-again', 'select pg_sleep(60)');
  await eventually('the session past the broker', 3000, async () =>
    ((await world.target.query("select from pg_stat_activity where usename = 'reporting' and query like 'select pg_sleep%'")).rowCount ?? 0) > 0);
  await must((await world.as('ada')).post(`/api/v1/grants/${one.id}/finish`));
  assert.match(await past, /terminating connection|server closed the connection/);
  await mine.lost;
  await world.until('ada', one.id, 'ended', 20_000);
  assert.equal((await kept.client.query('select count(*)::int as n from shop.orders')).rows[0]?.n, 5000, 'the other grant works on');
  assert.deepEqual([await direct('of-reporting'), await settings()], ['reporting', { set: 'work_mem=8MB' }]);
  assert.equal(await psql(await envFor(world, 'kim', other.id), 'select 1'), '1', 'and opens new sessions');

  await kept.client.query("alter role reporting set work_mem = '2GB'");
  await must((await world.as('kim')).post(`/api/v1/grants/${other.id}/finish`));
  await kept.lost;
  await world.until('kim', other.id, 'ended', 20_000);
  assert.deepEqual(await settings(), { set: 'work_mem=8MB' });
  assert.equal((await world.target.query(`select from pg_stat_activity where usename = 'reporting' or usename = '${ADMIN}' and state = 'active' and query like '%pg_sleep%'`)).rowCount, 0);
});
