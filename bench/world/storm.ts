import { setTimeout as sleep } from 'node:timers/promises';
import type { BrevetWorld } from '#test/worlds/brevet-world.ts';
import type { TestServer } from '#test/worlds/postgres-server.ts';
import { rounded, spread } from '../statistics.ts';
import { databaseClockOffset, wallClock } from './clock.ts';
import { crowdNames } from './crowd.ts';
import { observeEnds } from './end-observer.ts';
import { massGrants, moveDeadlines, type MassGrant } from './mass-grants.ts';
import type { OfferedLoad } from './offered-load.ts';

/** How many people hold the grants, in turn. */
export const PEOPLE = 40;

export interface Storm {
  readonly allSeconds: number;
  readonly late: ReturnType<typeof spread>;
  readonly api: ReturnType<typeof spread>;
  readonly apiFailed: number;
  readonly lies: number;
  readonly madeInSeconds: number;
}

export interface StormPlan {
  readonly name: string;
  readonly count: number;
  readonly entitlements: readonly string[];
  readonly servers: readonly TestServer[];
  /** Index of the server that hangs. */
  readonly frozen: number | null;
  /** Index of the server whose grants are not counted. Default: the one that hangs. */
  readonly leaveOut?: number;
  /** Over how many seconds the deadlines are spread. Default 1. */
  readonly overSeconds?: number;
}

/** Makes the grants, moves their deadlines close together, and waits until an observer outside has seen all their ends. */
export async function storm(world: BrevetWorld, load: OfferedLoad, tell: (line: string) => void, plan: StormPlan): Promise<Storm> {
  tell(`${plan.name}: making ${plan.count} grants`);
  const began = performance.now();
  const grants = await massGrants(world, plan.count, crowdNames(PEOPLE), plan.entitlements);
  const madeInSeconds = rounded((performance.now() - began) / 1000);
  const leftOut = plan.leaveOut ?? plan.frozen;
  const counted = grants.filter(({ entitlement }) => leftOut === null || entitlement !== plan.entitlements[leftOut]);
  const roles = new Map<string, string>(grants.map(({ id, role }) => [id, role]));
  const awake = plan.servers.filter((_, n) => n !== plan.frozen);
  const observer = await observeEnds(world.database.url, awake.map((server) => ({ url: server.url() })), (grant) => roles.get(grant));
  const frozen = plan.frozen === null ? null : (plan.servers[plan.frozen] ?? null);
  try {
    const offset = await databaseClockOffset(world.database.pool);
    const deadlines = await moveDeadlines(world, grants, 3, plan.overSeconds ?? 1);
    await frozen?.pause();
    await load.report();
    tell(`${plan.name}: waiting for their ends`);
    const last = Math.max(...deadlines.values());
    const ended = (of: readonly MassGrant[]) => of.every(({ id }) => observer.ended.has(id));
    while (!ended(counted) && wallClock() + offset < last + 300_000) await sleep(100);
    const { took, failed } = await load.report();
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
