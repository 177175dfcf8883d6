/** B05: wall clocks are set while a grant lives, servers and brokers are put to sleep over its deadline. Nobody gains time. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '#contract/routes.ts';
import { unlawful, type Outage } from '#test/faults/checker.ts';
import { readFacts } from '#test/faults/facts.ts';
import { FAULTS } from '#test/faults/faults.ts';
import { tryPast, use } from '#test/faults/people.ts';
import { faultWorld, type FaultWorld, type Person } from '#test/faults/world.ts';
import { eventually } from '#test/worlds/brevet-steps.ts';
import { noMovedClocks } from '#test/worlds/moved-clock.ts';

type Grant = Answer<'grant'>;

let world: FaultWorld;
before(async () => {
  world = await faultWorld();
});
after(() => world[Symbol.asyncDispose]());

const ada = () => world.people[0] as Person;
const grantNow = async (id: string) => (await world.ask<Grant>(ada().caller, 0, 'GET', `/api/v1/grants/${id}`))?.body;

interface Struck {
  readonly at: number;
  readonly deadline: number;
  /** Through a broker. */
  readonly lastUse: number;
  /** What time it was for the server and for the broker at the deadline, by an answer's header and by the words of a cut. */
  readonly timeOf: { readonly server: number; readonly broker: number };
}

/** A fault strikes these nodes two seconds into a grant of six, while sessions work through the first node's broker without a pause. */
async function overTheDeadline(t: TestContext, fault: string, nodes: readonly number[], beyondMs: number): Promise<Struck> {
  const asked = await world.ask<Answer<'submitRequest'>>(ada().caller, 0, 'POST', '/api/v1/requests', { entitlement: 'use-orders', reason: 'a test', duration: 6 });
  const id = asked?.body.grant ?? '';
  const grant = await eventually('it is active', 5000, async () => {
    const shown = await grantNow(id);
    return shown?.state === 'active' && shown;
  });
  const deadline = Date.parse(grant.deadline ?? '');
  const account = grant.parts[0]?.object ?? '';
  let finished = false;
  const over = () => finished;
  const port = world.nodes[0]?.server?.brokerPort ?? 0;
  const words: string[] = [];
  const sessions = Array.from({ length: 4 }, () => use({ host: 'localhost', port, user: 'ada', database: 'orders', ssl: ada().tls, options: `-c brevet.grant=${id}` }, 5, over, (said) => words.push(said)));
  const past = tryPast(world.targets.get('orders') as NonNullable<ReturnType<FaultWorld['targets']['get']>>, account, over);
  await sleep(deadline - Date.now() - 4000);
  const struckAt = Date.now();
  const mends = await Promise.all(nodes.map((n) => FAULTS[fault]?.strike(world, n / world.nodes.length)));
  await sleep(deadline + beyondMs - Date.now());
  const address = fault.includes('clock') ? world.nodes[0]?.server?.address : undefined;
  const headers = address === undefined ? null : (await fetch(`${address}/healthz`)).headers;
  for (const mend of mends) await mend?.();
  const back = Date.now();
  await eventually('it has ended', 20_000, async () => (await grantNow(id))?.state === 'ended');
  await Promise.all(sessions);
  finished = true;
  await past;

  const out = FAULTS[fault]?.out ?? [];
  // With every server asleep nobody can take anything away: that begins with their waking.
  const what = nodes.length === world.nodes.length ? 'store' : 'server';
  const outages: readonly Outage[] = out.map(() => ({ what, target: null, from: struckAt, to: back }));
  const { grants, uses } = await readFacts(world);
  const mine = uses.filter((each) => each.account === account);
  assert.deepEqual(unlawful(mine, grants.filter((each) => each.id === id), outages), []);
  const lastUse = Math.max(...mine.filter(({ through }) => through === 'broker').map(({ at }) => at));
  t.diagnostic(`${mine.length} uses; the last through a broker ${Math.round(lastUse - deadline)} ms after the deadline, past Brevet ${Math.round(Math.max(...mine.filter(({ through }) => through === 'direct').map(({ at }) => at)) - deadline)} ms`);
  const time = { server: headers?.get('date') ?? '', broker: /this access ended at (\S+Z)/.exec(words.join(' '))?.[1] ?? '' };
  return { at: struckAt, deadline, lastUse, timeOf: { server: Date.parse(time.server), broker: Date.parse(time.broker) } };
}

const ALL = [0, 1, 2];
const HOUR_MS = 3_600_000;

for (const whose of ['server', 'broker'] as const) {
  for (const way of ['forward', 'back']) {
    test(`B05 the wall clock of every ${whose} goes an hour ${way}: sessions go on, and are cut at the deadline`, { timeout: 60_000 }, async (t) => {
      const none = noMovedClocks();
      if (none !== null) return t.skip(none);
      const { at, deadline, lastUse, timeOf } = await overTheDeadline(t, `a ${whose}'s clock goes an hour ${way}`, ALL, 1500);
      assert.ok(Math.abs(timeOf[whose] - deadline - (way === 'forward' ? HOUR_MS : -HOUR_MS)) < 5000, `it took it for ${new Date(timeOf[whose]).toISOString()}`);
      assert.ok(lastUse > at + 2500 && lastUse < deadline + 1000);
    });
  }
}

test('B05 every server and broker sleeps over the deadline, as a suspended machine: on waking, what clients sent meanwhile is not passed on', { timeout: 60_000 }, async (t) => {
  const { at, lastUse } = await overTheDeadline(t, 'a server and its broker sleep', ALL, 3000);
  assert.ok(lastUse < at + 500);
});

test('B05 a broker sleeps over the deadline: the servers end its sessions on the target', { timeout: 60_000 }, async (t) => {
  const { deadline, lastUse } = await overTheDeadline(t, 'a broker sleeps', [0], 7000);
  assert.ok(lastUse < deadline);
});

test('B05 a server sleeps over the deadline: its broker cuts, and another server takes the access away', { timeout: 60_000 }, async (t) => {
  const { deadline, lastUse } = await overTheDeadline(t, 'a server sleeps', [0], 7000);
  assert.ok(lastUse < deadline + 1000);
});
