import { randomBytes } from 'node:crypto';
import { endSessions } from '#app/gate/end-session.ts';
import { localGate } from '#app/gate/local-gate.ts';
import type { OpenSession } from '#app/ports/gate.ts';
import { makeId, type BrokerId, type GrantId, type SessionId } from '#domain/id.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { wallClock } from '../world/clock.ts';

const AT_ONCE = 10;
/** Below a third of what a lease lasts: opening ten thousand takes longer than that. */
const RENEW_EVERY_MS = 8_000;

export const benchmark: Benchmark = {
  title: 'End every session of a person',
  about:
    'Ten thousand sessions of one person under one grant, opened at the gate of a server as one broker would open them (no client, no connection to the target behind them: what is measured is the control plane). First one renewal of all their leases, each judged anew by identity, grant and policy. Then an administrator ends all sessions of the person while another renewal is under way: from that call to the instant at which the broker has been told to cut the last one. Then the broker reports each end, all at once as their connections close, each with its entry in the log.',
  async run({ quick, tell }) {
    const count = quick ? 1_000 : 10_000;
    await using world = await brevetWorld({ connections: 20 });
    const { app, identity } = world.server;
    using gate = localGate(app, identity);
    const broker = makeId('broker', wallClock(), randomBytes(10)) as BrokerId;
    const sessions: SessionId[] = [];
    const ask = await askAs(world, 'ada', broker);
    tell(`opening ${count} sessions`);
    let renewed = performance.now();
    await together(count, async () => {
      const ticket = await gate.open(ask, new AbortController().signal);
      if ('refused' in ticket) throw new Error(ticket.message);
      sessions.push(ticket.session);
      if (performance.now() - renewed < RENEW_EVERY_MS) return;
      renewed = performance.now();
      await gate.renew(broker, sessions);
    });

    tell('renewing');
    const renewal = await timed(() => gate.renew(broker, sessions));
    tell('ending');
    const cut = new Set<SessionId>();
    const allCut = new Promise<void>((resolve) => {
      gate.onOrder(({ session, order }) => {
        if (order === 'cut' && cut.add(session).size === count) resolve();
      });
    });
    const { rows } = await world.database.pool.query<{ id: `per_${string}`; name: string }>("select id, name from brevet.principals where name in ('ada', 'sam')");
    const idOf = (name: string) => rows.find((row) => row.name === name)?.id ?? 'per_';
    const actor = { id: idOf('sam'), authentication: { method: 'link', at: new Date(wallClock()), phishingResistant: true, by: 'key_' }, clientAddress: null } as const;
    const beside = gate.renew(broker, sessions);
    const ended = await timed(async () => {
      await endSessions(app, actor, { principal: idOf('ada') });
      await allCut;
    });
    await beside;
    const counters = { statements: 1, bytesIn: 1, bytesOut: 1 };
    const reported = await timed(() => Promise.all(sessions.map((session) => gate.ended({ session, reason: 'ended_by_admin', counters }))));
    return {
      figures: [
        { what: `one renewal of ${count} leases`, value: Math.round(renewal), unit: 'ms', aim: { atMost: 3000 } },
        { what: `asked to the last of ${count} told to cut`, value: Math.round(ended), unit: 'ms', aim: { atMost: 3000 } },
        { what: 'every end reported and logged after that', value: Math.round(reported), unit: 'ms', aim: { atMost: 3000 } },
      ],
      details: { sessions: count },
    };
  },
};

async function askAs(world: BrevetWorld, who: string, broker: BrokerId): Promise<OpenSession> {
  const grant = await world.grant(who, 'orders-read', { seconds: 1800, ticket: 'SHOP-1' });
  await world.clientEnv(who);
  const { rows } = await world.database.pool.query<{ fingerprint: string; principal: string }>('select fingerprint, principal_id as principal from brevet.certificates limit 1');
  const [certificate] = rows;
  if (!certificate) throw new Error('no certificate was issued');
  return {
    protocol: 'postgresql', broker, proof: { by: 'certificate', fingerprint: certificate.fingerprint, subject: certificate.principal },
    target: null, within: null, grant: grant.id as GrantId, request: null, waitSeconds: 0, client: { address: '192.0.2.7', application: 'bench' },
  };
}

/** `work` for each number below `count`, a few at a time. */
async function together(count: number, work: (n: number) => Promise<void>): Promise<void> {
  const numbers = Array.from({ length: count }, (_, n) => n).values();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const n of numbers) await work(n);
  }));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
