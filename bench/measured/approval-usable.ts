import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '#contract/routes.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { median, rounded, spread } from '../statistics.ts';
import { wallClock } from '../world/clock.ts';
import type { FromHolder, SessionOrder } from '../world/session-holder.ts';

interface Round {
  readonly usable: number;
  /** When the review was answered, and when the grant was active, after the review was sent. */
  readonly answered: number;
  readonly active: number;
}

export const benchmark: Benchmark = {
  title: 'Approval to usable',
  about:
    'A request waits for its one reviewer. Measured is from the instant at which the review is sent to that at which the requester\'s client, in a process of its own and with a certificate in its hands, has the answer to its first query on the target: in between lie the decision, the account made and read back on the target, the grant\'s activation, and signing in through the broker. In turns with a client that already waits in the broker for the decision (wait), and with one that tries again every 20 ms.',
  async run({ quick }) {
    const rounds = quick ? 8 : 100;
    await using world = await brevetWorld({ brokers: 2, connections: 20, target: { conf: ['fsync = on'] } });
    const holder = fork(join(import.meta.dirname, '../world/session-holder.ts'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const env = await world.clientEnv('ada');
      const found = { waiting: [] as Round[], eager: [] as Round[] };
      for (let n = 0; n < rounds + 2; n++) {
        for (const kind of ['waiting', 'eager'] as const) {
          const round = await oneRound(world, holder, `${kind}-${n}`, kind, env);
          // The first rounds fill caches, as a server that runs has them.
          if (n >= 2) found[kind].push(round);
        }
      }
      const waiting = spread(found.waiting.map(({ usable }) => usable));
      const eager = spread(found.eager.map(({ usable }) => usable));
      const middle = (what: keyof Round) => rounded(median(found.waiting.map((round) => round[what])));
      return {
        figures: [
          { what: 'client waits in the broker, p50', value: waiting.p50, unit: 'ms' },
          { what: 'client waits in the broker, p99', value: waiting.p99, unit: 'ms', aim: { atMost: 1000 } },
          { what: 'client tries every 20 ms, p50', value: eager.p50, unit: 'ms' },
          { what: 'client tries every 20 ms, p99', value: eager.p99, unit: 'ms', aim: { atMost: 1000 } },
        ],
        details: { rounds, all: found, phasesOfAWaitingClient: { reviewAnsweredMs: middle('answered'), grantActiveMs: middle('active'), usableMs: middle('usable') } },
      };
    } finally {
      holder.kill();
    }
  },
};

async function oneRound(world: BrevetWorld, holder: ReturnType<typeof fork>, key: string, kind: 'waiting' | 'eager', env: Readonly<Record<string, string>>): Promise<Round> {
  const [ada, kim] = [await world.as('ada'), await world.as('kim')];
  const { body: request } = await ada.post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-write', reason: 'a benchmark', ticket: 'B-1', duration: 600 });
  const order: SessionOrder = kind === 'waiting' ? { key, kind: 'idle', env: { ...env, PGOPTIONS: '-c brevet.wait=60s' } } : { key, kind: 'eager', env };
  holder.send(order);
  const open = opening(holder, key);
  await sleep(400);
  const sent = wallClock();
  const { body: reviewed } = await kim.post<Answer<'reviewRequest'>>(`/api/v1/requests/${request.id}/reviews`, { decision: 'approve', hash: request.hash });
  const answered = wallClock() - sent;
  const usable = (await open) - sent;
  const grant = reviewed.grant ?? '';
  const { body: shown } = await ada.get<Answer<'grant'>>(`/api/v1/grants/${grant}`);
  // Without this the next round's client would be let in by this one's grant.
  await ada.post(`/api/v1/grants/${grant}/finish`);
  await world.until('ada', grant, 'ended');
  return { usable, answered, active: Date.parse(shown.activatedAt ?? '') - sent };
}

/** When this session's first query was answered, by the wall clock. */
async function opening(holder: ReturnType<typeof fork>, key: string): Promise<number> {
  for (;;) {
    const [raw] = (await once(holder, 'message')) as [FromHolder];
    if ('open' in raw && raw.open === key) return raw.at;
    if ('cut' in raw && raw.cut === key) throw new Error(`the client was turned away: ${raw.said}`);
  }
}
