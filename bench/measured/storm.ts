import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { setTargetSecret } from '#app/target-access.ts';
import { fillSampleDatabase } from '#main/demo/sample-database.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import type { Benchmark, Figure } from '../benchmark.ts';
import { rounded, spread } from '../statistics.ts';
import type { LoadOrder, LoadReport } from '../world/api-load.ts';
import { databaseClockOffset, wallClock } from '../world/clock.ts';
import { crowd, crowdNames } from '../world/crowd.ts';
import { observeEnds } from '../world/end-observer.ts';
import { deadlinesInOneSecond, massGrants, type MassGrant } from '../world/mass-grants.ts';

const PEOPLE = 40;
const CALLS_PER_SECOND = 20;
const DURABLE = { conf: ['fsync = on'] };

export const benchmark: Benchmark = {
  title: 'Two thousand deadlines in one second',
  about:
    'Two thousand grants, whose roles really stand on their targets, fall due within one second: all on one PostgreSQL server; spread over five; and spread over five of which one is frozen. Measured is from each deadline to the verified end that an observer outside sees in the log, by the database\'s clock; how long after the last deadline all are verified; and meanwhile the latency of the API, called twenty times a second at fixed instants from a process of its own. With one target frozen only the others\' grants count. All servers share the machine with Brevet, and write every commit to the disk.',
  async run({ quick, tell }) {
    const count = quick ? 100 : 2000;
    await using world = await brevetWorld({ brokers: 1, connections: 30, files: (port) => crowd(port, PEOPLE), target: DURABLE });
    await using more = new AsyncDisposableStack();
    const others: TestServer[] = [];
    for (let n = 2; n <= 5; n++) others.push(more.use(await startTestServer(DURABLE)));
    await addTargets(world, others);
    const load = fork(join(import.meta.dirname, '../world/api-load.ts'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: ['--disable-warning=ExperimentalWarning'] });
    more.defer(() => void load.kill());
    const { keyId, privateKey } = await world.as('ada');
    load.send({ address: world.address, name: 'ada', keyId, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), perSecond: CALLS_PER_SECOND, paths: ['/api/v1/me', '/api/v1/grants', '/api/v1/entitlements'] } satisfies LoadOrder);

    const five = ['orders-read', ...others.map((_, n) => `orders-read-${n + 2}`)];
    const all = [world.target, ...others];
    // The first calls load what later ones find loaded.
    await sleep(2000);
    await reported(load);
    await sleep(quick ? 2000 : 10_000);
    const idle = await reported(load);
    const one = await storm(world, load, tell, { name: 'one target', count, entitlements: ['orders-read'], servers: [world.target], frozen: null });
    const spreadOut = await storm(world, load, tell, { name: 'five targets', count, entitlements: five, servers: all, frozen: null });
    const hung = await storm(world, load, tell, { name: 'five targets, one frozen', count, entitlements: five, servers: all, frozen: 4 });
    return {
      figures: [
        ...figuresOf('one target', one), ...figuresOf('five targets', spreadOut), ...figuresOf('five targets, one frozen', hung),
        { what: 'p99 of the four beside a frozen one, to that of five', value: Number((hung.late.p99 / spreadOut.late.p99).toFixed(2)), unit: 'ratio', aim: { atMost: 1.2 } },
        { what: 'API p99 before', value: spread(idle.took).p99, unit: 'ms' },
      ],
      details: { count, one, five: spreadOut, hung, callsPerSecond: CALLS_PER_SECOND },
    };
  },
};

function figuresOf(name: string, { allSeconds, late, api, lies }: Storm): Figure[] {
  return [
    { what: `${name}: all verified after the last deadline`, value: allSeconds, unit: 's' },
    { what: `${name}: deadline to verified, p99`, value: rounded(late.p99 / 1000), unit: 's' },
    { what: `${name}: API p99 meanwhile`, value: api.p99, unit: 'ms', aim: { atMost: 500 } },
    ...(lies > 0 ? [{ what: `${name}: ended by the log, still on the target`, value: lies, unit: 'roles', aim: { atMost: 0 } }] : []),
  ];
}

interface Storm {
  readonly allSeconds: number;
  readonly late: ReturnType<typeof spread>;
  readonly api: ReturnType<typeof spread>;
  readonly apiFailed: number;
  readonly lies: number;
  readonly madeInSeconds: number;
}

interface StormPlan {
  readonly name: string;
  readonly count: number;
  readonly entitlements: readonly string[];
  readonly servers: readonly TestServer[];
  /** Index of the server that hangs. */
  readonly frozen: number | null;
}

async function storm(world: BrevetWorld, load: ChildProcess, tell: (line: string) => void, plan: StormPlan): Promise<Storm> {
  tell(`${plan.name}: making ${plan.count} grants`);
  const began = performance.now();
  const grants = await massGrants(world, plan.count, crowdNames(PEOPLE), plan.entitlements);
  const madeInSeconds = rounded((performance.now() - began) / 1000);
  const counted = grants.filter(({ entitlement }) => plan.frozen === null || entitlement !== plan.entitlements[plan.frozen]);
  const roles = new Map<string, string>(grants.map(({ id, role }) => [id, role]));
  const awake = plan.servers.filter((_, n) => n !== plan.frozen);
  const observer = await observeEnds(world.database.url, awake.map((server) => ({ url: server.url() })), (grant) => roles.get(grant));
  const frozen = plan.frozen === null ? null : (plan.servers[plan.frozen] ?? null);
  try {
    const offset = await databaseClockOffset(world.database.pool);
    const deadlines = await deadlinesInOneSecond(world, grants, 3);
    await frozen?.pause();
    await reported(load);
    tell(`${plan.name}: waiting for their ends`);
    const last = Math.max(...deadlines.values());
    const ended = (of: readonly MassGrant[]) => of.every(({ id }) => observer.ended.has(id));
    while (!ended(counted) && wallClock() + offset < last + 300_000) await sleep(100);
    const { took, failed } = await reported(load);
    const instants = counted.map(({ id }) => observer.ended.get(id) ?? Infinity);
    const late = counted.map(({ id }, n) => (instants[n] ?? Infinity) - (deadlines.get(id) ?? 0));
    await frozen?.resume();
    while (!ended(grants) && wallClock() + offset < last + 600_000) await sleep(100);
    return { allSeconds: rounded((Math.max(...instants) - last) / 1000), late: spread(late), api: spread(took), apiFailed: failed, lies: observer.lies.length, madeInSeconds };
  } finally {
    await frozen?.resume();
    await observer.stop();
  }
}

async function reported(load: ChildProcess): Promise<LoadReport> {
  load.send('report');
  const [report] = (await once(load, 'message')) as [LoadReport];
  return report;
}

/** Targets `orders-2` and so on, each a server of its own with the same shop, and an entitlement on each. */
async function addTargets(world: BrevetWorld, servers: readonly TestServer[]): Promise<void> {
  const secrets = servers.map(() => randomBytes(18).toString('base64url'));
  for (const [n, server] of servers.entries()) await fillSampleDatabase({ host: server.host, port: server.port, user: server.user, password: server.password }, secrets[n] ?? '');
  await world.apply(withTargets(crowd(world.target.port, PEOPLE), servers));
  const { app } = world.server;
  await app.store.transaction(async (tx) => {
    for (const [n, secret] of secrets.entries()) {
      const target = await tx.catalogue.targetByName(`orders-${n + 2}`);
      if (target) await setTargetSecret(app, tx, target.id, null, secret);
    }
  });
}

function withTargets(files: readonly SourceFile[], servers: readonly TestServer[]): readonly SourceFile[] {
  return files.map((file) => {
    if (file.path !== 'world.yaml') return file;
    type World = { targets: Record<string, { config: object }>; entitlements: Record<string, { parts: { target: string }[] }> };
    const world = parse(file.text) as World;
    for (const [n, { port }] of servers.entries()) {
      const { orders } = world.targets;
      const read = world.entitlements['orders-read'];
      if (!orders || !read) throw new Error('the demonstration has changed');
      world.targets[`orders-${n + 2}`] = { ...orders, config: { ...orders.config, port } };
      world.entitlements[`orders-read-${n + 2}`] = { ...read, parts: read.parts.map((part) => ({ ...part, target: `orders-${n + 2}` })) };
    }
    return { path: file.path, text: stringify(world, { aliasDuplicateObjects: false }) };
  });
}
