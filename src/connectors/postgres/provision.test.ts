import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { makeId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';
import { isObjectName } from './marker.ts';

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget({ conf: ['log_statement = all', 'log_min_messages = log', "log_destination = 'csvlog'", 'logging_collector = on'] });
});
after(() => world[Symbol.asyncDispose]());

const SCOPE = {
  database: 'orders', verbs: ['select', 'insert'], tables: ['sales.orders', 'sales.lines'], columns: { 'hr.people': ['id', 'name'] },
  functions: ['sales.close_month'], connectionLimit: 2,
};
const refused = (code: string, words: RegExp) => (error: unknown) => error instanceof Refusal && error.code === code && words.test(error.message);
const rolesNamed = async (name: string) => (await world.sql('select * from pg_roles where rolname = $1', [name])).length;

test('G2, G6: every privilege in the scope works with real psql, and nothing outside it does', async () => {
  const plan = world.plan(SCOPE);
  const { secret, evidence } = await world.connector.provision(plan, yes);
  assert.ok(secret && secret.length >= 32);
  assert.ok(!JSON.stringify(evidence).includes(secret));
  assert.ok((evidence['privileges'] as string[]).includes('insert on table sales.orders'));
  const psql = (command: string) => world.psql(plan.objectName, secret, command);
  for (const [command, printed] of [
    ['select count(*) from sales.orders', /^200$/],
    ["begin; insert into sales.orders (customer) values ('new') returning total; rollback", /0/],
    ["begin; insert into sales.lines (what) values ('new'); rollback", /INSERT/],
    ['select id, name from hr.people where id = 1', /^1\|Ada$/],
    ['select sales.close_month(7), sales.close_month(\'may\')', /^7\|may$/],
  ] as const) {
    const result = await psql(command);
    assert.ok(result.ok && printed.test(result.text), `${command}: ${result.text}`);
  }
  for (const command of [
    'update sales.orders set total = 1', 'delete from sales.orders', 'truncate sales.orders', 'select * from hr.people', 'select salary from hr.people',
    'select * from hr.secrets', 'select * from sales.big_orders', 'create table sales.mine (n int)', 'select * from pg_authid', 'create role x', 'create database x',
    'create schema x', "alter role current_user valid until 'infinity'", 'alter role current_user superuser', 'alter role current_user connection limit 100', 'set role postgres',
    "copy sales.orders to program 'cat'", "select pg_read_file('/etc/passwd')", 'drop table sales.orders', 'lock table sales.orders in exclusive mode nowait',
  ]) {
    const result = await psql(command);
    assert.ok(!result.ok && /permission denied|must be|ERROR/.test(result.text), `${command} must be refused, but: ${result.text}`);
  }
  await using one = await world.session(plan.objectName, secret);
  await using two = await world.session(plan.objectName, secret);
  assert.ok(one && two);
  assert.match((await psql('select 1')).text, /too many connections/);
});

test('read-only access on a schema covers its tables and views, and the server knows it too', async () => {
  const plan = world.plan({ database: 'orders', access: 'read-only', schemas: ['sales'] });
  const { secret } = await world.connector.provision(plan, yes);
  assert.equal((await world.psql(plan.objectName, secret ?? '', 'select count(*) from sales.big_orders')).text, '100');
  assert.equal((await world.psql(plan.objectName, secret ?? '', 'show default_transaction_read_only')).text, 'on');
  const write = await world.psql(plan.objectName, secret ?? '', "begin read write; insert into sales.orders (customer) values ('x')");
  assert.match(write.text, /permission denied/);
  const upstream = world.connector.upstream({ target: world.target.config, scope: plan.scope, user: 'u', password: 'p', within: null });
  assert.deepEqual('settings' in upstream && upstream.settings, { default_transaction_read_only: 'on' });
  assert.throws(() => world.connector.upstream({ target: world.target.config, scope: plan.scope, user: 'u', password: 'p', within: 'postgres' }), refused('forbidden', /orders/));
});

test('the target ends it by itself: VALID UNTIL is the deadline, in UTC, whatever the time zone', async () => {
  await world.sql("alter database orders set timezone = 'Asia/Tokyo'; alter role postgres set timezone = 'America/Lima'");
  const plan = world.plan(SCOPE, { deadline: new Date(Date.now() + 1500) });
  const { secret } = await world.connector.provision(plan, yes);
  const [role] = await world.sql('select extract(epoch from rolvaliduntil)::float8 * 1000 as until from pg_roles where rolname = $1', [plan.objectName]);
  assert.equal(Math.round(Number(role?.['until'])), plan.deadline.getTime());
  assert.ok((await world.psql(plan.objectName, secret ?? '', 'select 1')).ok);
  await new Promise((resolve) => setTimeout(resolve, plan.deadline.getTime() - Date.now() + 50));
  assert.match((await world.psql(plan.objectName, secret ?? '', 'select 1')).text, /password authentication failed/);
  await world.sql('alter database orders reset timezone; alter role postgres reset timezone');
});

test('no secret in the target\'s log: it sees the verifier only', async () => {
  const plan = world.plan(SCOPE);
  const { secret } = await world.connector.provision(plan, yes);
  const [log] = await world.sql("select pg_read_file(pg_current_logfile('csvlog')) as text");
  const text = String(log?.['text']);
  assert.ok(text.includes(plan.objectName), 'the log is being read');
  assert.ok(!text.includes(String(secret)));
});

test('B08: provision after a crash at any point: before the commit nothing is left, after it the account is taken over', async () => {
  const plan = world.plan(SCOPE);
  const clean = await world.fingerprint();
  // The worker dies at the last moment before the commit.
  await assert.rejects(world.connector.provision(plan, () => Promise.reject(new Error('killed'))), /killed/);
  assert.equal(await world.fingerprint(), clean);
  // It dies right after the commit: nobody knows the password. The next attempt makes another one, on the same role.
  const lost = await world.connector.provision(plan, yes);
  const [first] = await world.sql('select oid from pg_roles where rolname = $1', [plan.objectName]);
  const later = { ...plan, fence: 2, deadline: new Date(plan.deadline.getTime() + 5000) };
  const again = await world.connector.provision(later, yes);
  const [second] = await world.sql('select oid, rolvaliduntil from pg_roles where rolname = $1', [plan.objectName]);
  assert.equal(second?.['oid'], first?.['oid']);
  assert.equal((second?.['rolvaliduntil'] as Date | undefined)?.getTime(), later.deadline.getTime());
  assert.equal(again.evidence['adopted'], true);
  assert.match((await world.psql(plan.objectName, lost.secret ?? '', 'select 1')).text, /authentication failed/);
  assert.ok((await world.psql(plan.objectName, again.secret ?? '', 'select 1')).ok);
  // A worker with an older fence changes nothing any more.
  await assert.rejects(world.connector.provision(plan, yes), refused('conflict', /later worker/));
  assert.ok((await world.psql(plan.objectName, again.secret ?? '', 'select 1')).ok);
});

test('B12: a worker whose claim is lost changes nothing, neither a new account nor one that stands', async () => {
  const plan = world.plan(SCOPE);
  await assert.rejects(world.connector.provision(plan, () => Promise.resolve(false)), refused('conflict', /another worker/));
  assert.equal(await rolesNamed(plan.objectName), 0);
  const { secret } = await world.connector.provision(plan, yes);
  await assert.rejects(world.connector.provision({ ...plan, fence: 2 }, () => Promise.resolve(false)), refused('conflict', /another worker/));
  assert.ok((await world.psql(plan.objectName, secret ?? '', 'select 1')).ok);
});

test('what an administrator added to the account is taken off when it is provisioned again', async () => {
  const plan = world.plan(SCOPE);
  await world.connector.provision(plan, yes);
  await world.sql(`create role lent; grant lent to ${plan.objectName}; grant delete on sales.orders to ${plan.objectName}; grant select on hr.secrets to ${plan.objectName} with grant option`);
  const { secret } = await world.connector.provision({ ...plan, fence: 2 }, yes);
  assert.ok(!(await world.psql(plan.objectName, secret ?? '', 'select * from hr.secrets')).ok);
  assert.ok(!(await world.psql(plan.objectName, secret ?? '', 'set role lent')).ok);
  await world.connector.withdraw(plan);
  await world.sql('drop role lent');
});

test('a role of that name without Brevet\'s mark is somebody else\'s: refused, and never removed', async () => {
  const plan = world.plan(SCOPE);
  await world.sql(`create role ${plan.objectName} login`);
  await assert.rejects(world.connector.provision(plan, yes), refused('target_refused', /not of this part/));
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, false);
  assert.equal((taken.residue[0] as { kind: string }).kind, 'unmarked_role');
  assert.equal(await rolesNamed(plan.objectName), 1);
  await world.sql(`drop role ${plan.objectName}`);
  assert.equal((await world.connector.withdraw(plan)).gone, true);
});

test('what the scope names must exist, exactly as written', async () => {
  for (const [scope, words] of [
    [{ tables: ['sales.Orders'], access: 'read-only' }, /no table sales.Orders/], [{ schemas: ['void'], access: 'read-only' }, /no schema void/],
    [{ columns: { 'hr.people': ['wage'] }, access: 'read-only' }, /no column wage of hr.people/], [{ functions: ['sales.nothing'] }, /no function/],
    [{ roles: ['nobody_at_all'] }, /no role/], [{ tables: ['sales.orders'], verbs: ['maintain'] }, /older than PostgreSQL 17/],
  ] as const) {
    const plan = world.plan({ database: 'orders', ...scope });
    await assert.rejects(world.connector.provision(plan, yes), refused('target_refused', words));
    assert.equal(await rolesNamed(plan.objectName), 0);
  }
  const nowhere = world.plan({ database: 'no such database', tables: ['sales.orders'], access: 'read-only' });
  await assert.rejects(world.connector.provision(nowhere, yes), refused('target_refused', /does not exist/));
});

test('dangerous roles are refused by what they reach, at any depth', async () => {
  await world.sql(`create role plain; create role via; create role boss superuser; create role maker createrole; create role files; create role passer; create role kept;
    grant boss to via; grant pg_write_server_files to files; grant kept to passer with admin option; create role deep; grant files to deep; create role looks; grant pg_monitor to looks`);
  for (const role of ['boss', 'via', 'maker', 'files', 'deep', 'passer']) {
    const plan = world.plan({ database: 'orders', roles: [role] });
    await assert.rejects(world.connector.provision(plan, yes), refused('dangerous_scope', new RegExp(`reached through ${role}|role ${role} `)));
    assert.equal(await rolesNamed(plan.objectName), 0);
  }
  for (const role of ['plain', 'looks']) {
    const plan = world.plan({ database: 'orders', roles: [role] });
    const { secret } = await world.connector.provision(plan, yes);
    assert.ok((await world.psql(plan.objectName, secret ?? '', `set role ${role}`)).ok);
    assert.equal((await world.connector.withdraw(plan)).gone, true);
  }
});

test('C02: a million grants have a million names, all below the limit, and the server keeps them whole', async () => {
  const names = new Set<string>();
  const random = randomBytes(10 * 1_000_000);
  for (let i = 0; i < 1_000_000; i++) {
    const name = `brevet_${makeId('grant', 1_800_000_000_000, random.subarray(10 * i, 10 * i + 10)).slice(4)}`;
    names.add(name);
    if (i % 100_000 === 0) assert.ok(isObjectName(name) && Buffer.byteLength(name) <= 63);
  }
  assert.equal(names.size, 1_000_000);
  const plan = world.plan(SCOPE);
  await assert.rejects(world.connector.provision({ ...plan, objectName: `${plan.objectName}${'x'.repeat(40)}` }, yes), refused('invalid_input', /name/));
  await assert.rejects(world.connector.provision({ ...plan, objectName: 'postgres' }, yes), refused('invalid_input', /name/));
  await world.connector.provision({ ...plan, objectName: `${plan.objectName}_12` }, yes);
  assert.equal(await rolesNamed(`${plan.objectName}_12`), 1);
});

test('many at once on one table: concurrent GRANTs do not fail, and each account is made and removed', async () => {
  const plans = Array.from({ length: 12 }, () => world.plan(SCOPE));
  const before = await world.fingerprint();
  const made = await Promise.all(plans.map((plan) => world.connector.provision(plan, yes)));
  assert.equal(new Set(made.map(({ secret }) => secret)).size, 12);
  const taken = await Promise.all(plans.map((plan) => world.connector.withdraw(plan)));
  assert.ok(taken.every(({ gone }) => gone));
  assert.equal(await world.fingerprint(), before);
});

test('somebody else changes the same access lists meanwhile: "tuple concurrently updated" is met by trying again', async () => {
  await world.sql('create role outsider');
  await using other = await world.session('postgres', world.server.password);
  for (let round = 0; round < 4; round++) {
    const plan = world.plan(SCOPE);
    await other.query(`begin; grant delete on sales.orders to outsider`);
    const made = world.connector.provision(plan, yes);
    // Ours waits for the other's row, and fails the moment he commits.
    while ((await world.sql("select from pg_stat_activity where application_name = 'brevet' and wait_event_type = 'Lock'")).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await other.query('commit');
    assert.ok((await made).secret);
    assert.equal((await world.connector.withdraw(plan)).gone, true);
    await other.query('revoke delete on sales.orders from outsider');
  }
  await world.sql('drop role outsider');
});

test('B12: provision and withdraw of one part at once, from several nodes: in the end it is gone', async () => {
  for (let round = 0; round < 5; round++) {
    const plan = world.plan(SCOPE);
    let removing = false;
    const stillMine = async () => !removing;
    const work = [world.connector.provision(plan, stillMine), world.connector.provision({ ...plan, fence: 2 }, stillMine)];
    await new Promise((resolve) => setTimeout(resolve, 5 * round));
    removing = true;
    work.push(...([world.connector.withdraw(plan), world.connector.withdraw(plan)] as never[]));
    await Promise.allSettled(work);
    assert.equal((await world.connector.withdraw(plan)).gone, true);
    assert.equal(await rolesNamed(plan.objectName), 0);
  }
});
