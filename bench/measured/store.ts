import { randomBytes } from 'node:crypto';
import type { Actor } from '#app/actor.ts';
import { DEFAULT_LIMITS, type App } from '#app/app.ts';
import { applyIn } from '#app/configuration/apply-configuration.ts';
import { reviewRequest } from '#app/review-request.ts';
import { submitRequest } from '#app/submit-request.ts';
import { postgresConnector } from '#connectors/postgres/connector.ts';
import type { KeyId } from '#domain/id.ts';
import { createPolicyEngine } from '#policy/cedar-engine.ts';
import { KeyRing, rootKeyOf } from '#secrets/root-key.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { openPool } from '#store/pool.ts';
import { postgresStore } from '#store/postgres-store.ts';
import { postgresStoreWorld, quiet } from '#test/worlds/postgres-store-world.ts';
import { monotonic, newId } from '#test/worlds/store-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { median, rounded } from '../statistics.ts';
import { crowd, crowdNames } from '../world/crowd.ts';

const PEOPLE = 64;
const ROUNDS = 3;

export const benchmark: Benchmark = {
  title: 'Lifecycle transactions',
  about:
    'What the store and the use cases bear, without HTTP and without targets: a request is submitted (policy asked, quota held) and, in a second transaction, approved by its reviewer (policy asked again), which makes the grant with its part and all log entries. Every commit is on the disk. With one client and with sixteen at once in one process, in turns, medians of the rounds; and the processor time that one process spends on it, PostgreSQL\'s not counted.',
  async run({ quick }) {
    const seconds = quick ? 1.5 : 8;
    await using world = await postgresStoreWorld();
    const pool = openPool({ connection: world.db.url, max: 20 });
    const store = postgresStore({ ...world.options, pool });
    const random = { bytes: (count: number) => randomBytes(count) };
    const app: App = {
      store, newId, random, journal: quiet, monotonic, policy: createPolicyEngine(),
      secrets: makeSecrets(new KeyRing([rootKeyOf(randomBytes(32))]), random),
      connectors: new Map([['postgresql', postgresConnector({ installation: 'bench', random: (count) => randomBytes(count), now: () => new Date() })]]),
      limits: { ...DEFAULT_LIMITS, pendingRequestsPerPrincipal: 1e9, liveGrantsPerPrincipal: 1e9 },
    };
    try {
      await store.transaction((tx) => applyIn(app, tx, crowd(5432, PEOPLE), null, 'system'));
      const actors = new Map<string, Actor>();
      for (const name of ['kim', ...crowdNames(PEOPLE)]) actors.set(name, await actorOf(app, name));
      await lifecycles(app, actors, 4, 0.5);
      const found = { one: [] as Rate[], sixteen: [] as Rate[] };
      for (let round = 0; round < ROUNDS; round++) {
        found.one.push(await lifecycles(app, actors, 1, seconds));
        found.sixteen.push(await lifecycles(app, actors, 16, seconds));
      }
      const middle = (of: readonly Rate[], what: keyof Rate) => rounded(median(of.map((rate) => rate[what])));
      return {
        figures: [
          { what: 'lifecycles, 1 client', value: middle(found.one, 'perSecond'), unit: '/s' },
          { what: 'lifecycles, 16 clients', value: middle(found.sixteen, 'perSecond'), unit: '/s' },
          { what: 'processor time each, 1 client', value: middle(found.one, 'processorMs'), unit: 'ms' },
          { what: 'processor time each, 16 clients', value: middle(found.sixteen, 'processorMs'), unit: 'ms' },
        ],
        details: { rounds: ROUNDS, secondsEach: seconds, transactionsInALifecycle: 2, all: found },
      };
    } finally {
      await store[Symbol.asyncDispose]();
      await pool.end();
    }
  },
};

async function actorOf(app: App, name: string): Promise<Actor> {
  return app.store.transaction(async (tx) => {
    const principal = await tx.principals.byName(name);
    if (!principal) throw new Error(`there is no ${name}`);
    const key = newId('key', tx.now) as KeyId;
    await tx.credentials.insertKey({ id: key, principal: principal.id, label: 'bench', publicKey: key, createdAt: tx.now, signedInAt: tx.now, signInMethod: 'link', issuedBy: null, lastUsedAt: null, revokedAt: null });
    return { id: principal.id, clientAddress: '127.0.0.1', authentication: { method: 'link', at: tx.now, phishingResistant: true, by: key } };
  });
}

interface Rate {
  readonly perSecond: number;
  readonly processorMs: number;
}

async function lifecycles(app: App, actors: ReadonlyMap<string, Actor>, clients: number, seconds: number): Promise<Rate> {
  const reviewer = actors.get('kim') as Actor;
  let next = 0;
  let done = 0;
  const began = performance.now();
  const cpu = process.cpuUsage();
  const client = async () => {
    while (performance.now() - began < seconds * 1000) {
      const actor = actors.get(`dev-${(next++ % PEOPLE) + 1}`) as Actor;
      const request = await submitRequest(app, actor, { entitlement: 'orders-write', reason: 'a benchmark', ticket: 'B-1', duration: 600, startAt: null, onBehalfOf: null, extends: null });
      const approved = await reviewRequest(app, reviewer, request.id, { decision: 'approve', hash: request.hash, reason: null, durationSeconds: null, scopes: null });
      if (approved.state !== 'approved') throw new Error('the request was not approved');
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / ((performance.now() - began) / 1000), processorMs: (user + system) / 1000 / done };
}
