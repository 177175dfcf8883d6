/**
 * B08: servers, brokers and the store are killed at random moments while people work. Afterwards nothing is left on the
 * target, nothing that was acknowledged is lost, each change of state stands in the log once, and the log verifies.
 * `KILL_SECONDS=600 KILL_SEED=7 node test/run.ts kill` runs longer, or another story.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { applyIn } from '#app/configuration/apply-configuration.ts';
import { setTargetSecret } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { verifyLog } from '#log/verifier.ts';
import { fillSampleDatabase } from '#main/demo/sample-database.ts';
import { demoFiles } from '#main/demo/world.ts';
import { readSettings } from '#main/settings.ts';
import { startServer } from '#main/start-server.ts';
import { eventually, must } from '#test/worlds/brevet-steps.ts';
import { callerWith, signIn, type Caller } from '#test/worlds/brevet-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { seeded } from '#test/worlds/seeded.ts';
import { isAlive, spawnServer, type ServerProcess } from '#test/worlds/server-process.ts';

const run = promisify(execFile);
const SECONDS = Number(process.env['KILL_SECONDS'] ?? 30);
const SEED = Number(process.env['KILL_SEED'] ?? 20_261);

/** Grants of seconds, with a short grace so that the sessions of dead brokers are known as lost soon. */
const QUICK = [
  { path: 'quick.yaml', text: `entitlements:
  quick: { title: Quick, folder: shop, maximum: 1m, end: cut, grace: 2s, parts: [{ target: orders, kind: ephemeral_account,
      scope: { database: orders, verbs: [select], tables: [shop.orders] } }], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }
` },
  { path: 'quick.cedar', text: `@id("quick")
@reason("for the test")
permit (principal in Group::"developers", action == Action::"autoApprove", resource == Entitlement::"quick");
` },
];

interface Client {
  readonly caller: Caller;
  readonly env: Readonly<Record<string, string>>;
}

/** Sets the world up once, with a server in this process that is gone before the killing begins. */
async function setUp(settings: Readonly<Record<string, string>>, target: TestServer, folder: string): Promise<readonly Client[]> {
  const secret = 'of-brevet-admin';
  await fillSampleDatabase({ host: target.host, port: target.port, user: target.user, password: target.password }, secret);
  const server = await startServer(readSettings({ ...settings, BREVET_HTTP_PORT: '0', BREVET_BROKER_PROCESSES: '0', BREVET_JOURNAL: 'silent' }, null));
  try {
    await server.app.store.transaction(async (tx) => {
      await applyIn(server.app, tx, [...demoFiles(target.port), ...QUICK], null, 'system');
      for (const { id } of await tx.catalogue.targets()) await setTargetSecret(server.app, tx, id, null, secret);
    });
    const clients: Client[] = [];
    for (const name of ['ada', 'kim']) {
      const caller = await signIn(server, name);
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const body = await must(caller.post<Answer<'issueCertificate'>>('/api/v1/certificates', { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) }));
      const file = async (kind: string, text: string | Buffer) => {
        const path = join(folder, `${name}.${kind}`);
        await writeFile(path, text, { mode: 0o600 });
        return path;
      };
      clients.push({ caller, env: {
        PATH: process.env['PATH'] ?? '', PGHOST: 'localhost', PGUSER: name, PGDATABASE: 'orders', PGSSLMODE: 'verify-full', PGCONNECT_TIMEOUT: '5',
        PGSSLKEY: await file('key', privateKey.export({ type: 'pkcs8', format: 'pem' })), PGSSLCERT: await file('cert', body.certificate), PGSSLROOTCERT: await file('ca', body.authority),
      } });
    }
    return clients;
  } finally {
    await server.stop();
  }
}

/** Asks, connects, works, sometimes gives back; answers the requests that a server acknowledged, and how many sessions worked. */
async function workUntil(over: () => boolean, { caller, env }: Client, servers: readonly (ServerProcess | null)[], random: () => number): Promise<{ acknowledged: string[]; worked: number }> {
  const acknowledged: string[] = [];
  let worked = 0;
  const anyServer = () => {
    const alive = servers.filter((server) => server !== null);
    return alive[Math.floor(random() * alive.length)];
  };
  const quietly = <T>(work: Promise<T>): Promise<T | null> => work.catch(() => null);
  const at = (server: ServerProcess) => callerWith(server.address, caller.name, caller.keyId, caller.privateKey);
  while (!over()) {
    await sleep(100 + random() * 300);
    const server = anyServer();
    if (!server) continue;
    const asked = await quietly(at(server).post<Answer<'request'>>('/api/v1/requests', { entitlement: 'quick', reason: 'to be killed', duration: 1 + Math.floor(random() * 6) }));
    if (asked === null || asked.status !== 200) continue;
    acknowledged.push(asked.body.id);
    const through = anyServer() ?? server;
    const psql = await quietly(run('psql', ['-XAtc', `select pg_sleep(${(random() * 2).toFixed(2)})`], { timeout: 10_000, env: { ...env, PGPORT: String(through.brokerPort), PGOPTIONS: '-c brevet.wait=3s' } }));
    if (psql !== null) worked += 1;
    const last = anyServer();
    if (last && asked.body.grant !== null && random() < 0.3) await quietly(at(last).post(`/api/v1/grants/${asked.body.grant}/finish`));
  }
  return { acknowledged, worked };
}

/** The longest that a role stood past the time written on it, in seconds; one look each half second. */
async function watchTarget(over: () => boolean, target: TestServer): Promise<number> {
  let worst = 0;
  while (!over()) {
    await sleep(500);
    const { rows } = await target.query("select coalesce(max(extract(epoch from now() - rolvaliduntil)), 0)::float8 as late from pg_roles where rolname like 'brevet\\_0%' and rolvaliduntil > '2000-01-01'");
    worst = Math.max(worst, (rows[0] as { late: number }).late);
  }
  return worst;
}

test('B08 killed again and again, nothing is left behind and nothing is lost', { timeout: (SECONDS + 180) * 1000 }, async (t) => {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await startTestServer());
  const target = stack.use(await startTestServer());
  const folder = await mkdtemp(join(tmpdir(), 'brevet-kill-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await store.query('create database brevet');
  const settings = { DATABASE_URL: store.url('brevet'), BREVET_DATA: folder, BREVET_LOG_PUBLIC: 'true' };
  const clients = await setUp(settings, target, folder);
  const random = seeded(SEED);
  const spawnOne = () => spawnServer({ ...settings, BREVET_BROKER_PROCESSES: '1' });
  const servers: (ServerProcess | null)[] = await Promise.all([spawnOne(), spawnOne()]);
  stack.defer(async () => {
    for (const server of servers) await server?.stop();
  });

  const killed: number[] = [];
  const orphans: number[] = [];
  let storeKills = 0;
  const end = performance.now() + SECONDS * 1000;
  const over = () => performance.now() > end;
  const killing = (async () => {
    for (let round = 0; !over(); round++) {
      await sleep(600 + random() * 2200);
      const slot = Math.floor(random() * 2);
      const server = servers[slot];
      if (round % 5 === 3) {
        await store.kill();
        await sleep(random() * 1500);
        await store.start();
        storeKills += 1;
      } else if (random() < 0.2 && server) {
        // A broker alone: its server starts another.
        for (const pid of await server.brokerPids()) process.kill(pid, 'SIGKILL');
      } else if (server) {
        orphans.push(...(await server.brokerPids()));
        servers[slot] = null;
        await server.kill();
        killed.push(server.pid);
        await sleep(random() * 800);
        servers[slot] = await spawnOne();
      }
    }
  })();
  const watching = watchTarget(over, target);
  const worked = await Promise.all([...clients, ...clients].map((client) => workUntil(over, client, servers, random)));
  await killing;
  const late = await watching;
  const acknowledged = worked.flatMap((each) => each.acknowledged);
  t.diagnostic(`seed ${SEED}: ${killed.length} servers and ${storeKills} stores killed; ${acknowledged.length} requests acknowledged, ${worked.reduce((sum, each) => sum + each.worked, 0)} sessions worked; at worst a role stood ${late.toFixed(1)} s too long`);
  assert.ok(killed.length >= 2 && storeKills >= 1 && acknowledged.length > 10, 'the story was worth telling');
  assert.ok(worked.some((each) => each.worked > 0), 'somebody got work done');

  const ask = async <T>(sql: string): Promise<T[]> => (await store.query(sql, [], 'brevet')).rows as T[];
  await eventually('quiet', 60_000, async () => (await ask<{ n: number }>(
    "select (select count(*) from brevet.grants where state <> 'ended')::int + (select count(*) from brevet.sessions where state <> 'ended')::int + (select count(*) from brevet.log_entries where index is null)::int as n"))[0]?.n === 0);
  assert.deepEqual((await target.query("select rolname from pg_roles where rolname like 'brevet\\_%' and rolname <> 'brevet_admin'")).rows, []);
  assert.deepEqual((await target.query("select usename from pg_stat_activity a where backend_type = 'client backend' and usename is distinct from 'brevet_admin' and pid <> pg_backend_pid()")).rows, []);
  assert.ok(late < 30, `a role stood ${late} s past its deadline`);

  const known = new Set((await ask<{ id: string }>('select id from brevet.requests')).map(({ id }) => id));
  assert.deepEqual(acknowledged.filter((id) => !known.has(id)), [], 'acknowledged, and lost');
  await checkStories(ask);
  for (const pid of orphans) await eventually(`broker ${pid} has ended`, 15_000, async () => !(await isAlive(pid)));

  const address = servers.find((server) => server !== null)?.address ?? '';
  const read = async (path: string) => {
    const reply = await fetch(`${address}/log/${path}`);
    return reply.status === 200 ? new Uint8Array(await reply.arrayBuffer()) : null;
  };
  const report = await verifyLog({ read });
  assert.deepEqual(report.findings, []);
  assert.ok(report.ok && report.checked === (await ask<{ n: number }>('select count(*)::int as n from brevet.log_entries'))[0]?.n);
});

/** Each change of state of each grant and session has exactly one entry. */
async function checkStories(ask: <T>(sql: string) => Promise<T[]>): Promise<void> {
  const wrong = await ask<{ what: string }>(`
    with told as (select body::json ->> 'type' as type, grant_id, session_id, count(*) as n from brevet.log_entries group by 1, 2, 3),
    grants as (
      select g.id, e.type, coalesce((select sum(n) from told where told.grant_id = g.id and told.type = e.type), 0) as n,
             case e.type when 'grant.active' then (g.activated_at is not null)::int
                         when 'grant.overdue' then (g.overdue_at is not null)::int
                         else 1 end as wanted
        from brevet.grants g cross join unnest(array['grant.scheduled', 'grant.active', 'grant.overdue', 'grant.revoking', 'grant.ended']) as e (type)
    ), sessions as (
      select s.id, e.type, coalesce((select sum(n) from told where told.session_id = s.id and told.type = e.type), 0) as n, 1 as wanted
        from brevet.sessions s cross join unnest(array['session.opened', 'session.ended']) as e (type)
    )
    select format('%s of %s: %s instead of %s', type, id, n, wanted) as what from (select * from grants union all select * from sessions) all_of_them where n <> wanted
    union all select format('%s of %s: %s times', type, grant_id, n) from told where grant_id is not null and session_id is null and n > 1
      and type in ('grant.activating', 'grant.part_present', 'grant.part_removing', 'grant.part_absent')`);
  assert.deepEqual(wrong.map(({ what }) => what), []);
}

test('the embedded store: the server is killed, its PostgreSQL lives on, is taken over, and nothing acknowledged is lost', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-kill-'));
  await chmod(folder, 0o711);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const settings = { BREVET_DATA: folder, BREVET_BROKER_PROCESSES: '0' };
  const postmaster = async () => Number((await run('sh', ['-c', `head -1 "$(find ${folder} -name postmaster.pid | head -1)"`])).stdout);
  let server = await spawnServer(settings);
  stack.defer(() => server.stop().then(() => undefined));
  const link = /sign-in#(\S+)'/.exec(server.said())?.[1] ?? '';
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const signed = await fetch(`${server.address}/api/v1/sign-in/link`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ link, publicKey: publicKey.export({ type: 'spki', format: 'pem' }), label: 'test' }),
  });
  assert.equal(signed.status, 200);
  const { key } = (await signed.json()) as { key: string };
  const admin = () => callerWith(server.address, 'admin', key, privateKey);

  const acknowledged: string[] = [];
  const first = await postmaster();
  for (let round = 0; round < 3; round++) {
    const stop = new AbortController();
    const writing = Promise.all([0, 1, 2].map(async (lane) => {
      for (let n = 0; !stop.signal.aborted; n++) {
        const name = `p${round}-${lane}-${n}`;
        const reply = await admin().post('/api/v1/principals', { kind: 'person', name, displayName: name }).catch(() => null);
        if (reply?.status === 200) acknowledged.push(name);
        else if (reply !== null && reply.status < 500) throw new Error(JSON.stringify(reply.problem));
      }
    }));
    await sleep(300 + round * 130);
    await server.kill();
    stop.abort();
    await writing;
    assert.ok(await isAlive(first), 'the PostgreSQL server outlives the kill');
    server = await spawnServer(settings);
    assert.equal(await postmaster(), first, 'and is taken over');
  }
  const known = new Set<string>();
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Answer<'principals'> = await must(admin().get<Answer<'principals'>>(`/api/v1/principals${cursor && `?cursor=${cursor}`}`));
    for (const { name } of page.items) known.add(name);
    cursor = page.next;
  }
  assert.ok(acknowledged.length > 20, `${acknowledged.length} were acknowledged`);
  assert.deepEqual(acknowledged.filter((name) => !known.has(name)), []);
  assert.equal(await server.stop(), 0);
  await eventually('PostgreSQL has ended with its server', 5000, async () => !(await isAlive(first)));
  assert.ok((await readFile(join(folder, 'root.key'), 'utf8')).length > 0);
});
