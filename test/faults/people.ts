/** People who work while things break, and their tries to get in past Brevet. What they achieve the targets write down. */
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig, type DatabaseError } from 'pg';
import type { Answer } from '#contract/routes.ts';
import type { TestServer } from '#test/worlds/postgres-server.ts';
import { entitlementsOf, living, USE, type FaultWorld, type Person } from './world.ts';

type Asked = Answer<'submitRequest'>;
type Shown = Answer<'grant'>;

const BETWEEN_USES_MS = 20;
const LONGEST_SECONDS = 7;
/** So long after the time that was asked for one still tries: activation may have taken a while. */
const STUBBORN_MS = 4000;
const BROKER_PATIENCE_MS = 8000;

export interface Diary {
  /** Requests that a server said yes to. */
  readonly acknowledged: string[];
  sessions: number;
  /** Tries past Brevet that are still under way. */
  readonly tries: Promise<void>[];
}

/** Asks, connects, works without a pause for as long as it goes, comes again when it is cut off, sometimes gives back. */
export async function work(world: FaultWorld, person: Person, diary: Diary, random: () => number, over: () => boolean): Promise<void> {
  const names = entitlementsOf(world.targets.keys());
  while (!over()) {
    await sleep(100 + random() * 400);
    const entitlement = names[Math.floor(random() * names.length)] ?? '';
    const duration = 1 + Math.floor(random() * LONGEST_SECONDS);
    const asked = await world.ask<Asked>(person.caller, random(), 'POST', '/api/v1/requests', { entitlement, reason: 'while things break', duration });
    if (asked?.status !== 200) continue;
    diary.acknowledged.push(asked.body.id);
    const { grant } = asked.body;
    if (grant === null) continue;
    const until = performance.now() + duration * 1000 + STUBBORN_MS;
    const enough = () => performance.now() > until;
    if (random() < 0.3) diary.tries.push(giveBack(world, person, grant, random() * duration * 1000));
    // Raised, one works with one's own account, as somebody does all the time.
    if (entitlement === 'raise') await sleep(duration * 1000);
    else {
      const target = entitlement.slice('use-'.length);
      diary.tries.push(tryGrantsAccount(world, person, grant, target, () => performance.now() > until + STUBBORN_MS));
      await throughBrokers(world, person, { grant, target }, diary, enough);
    }
  }
}

async function giveBack(world: FaultWorld, person: Person, grant: string, afterMs: number): Promise<void> {
  await sleep(afterMs);
  await world.ask(person.caller, Math.random(), 'POST', `/api/v1/grants/${grant}/finish`);
}

async function throughBrokers(world: FaultWorld, person: Person, to: { grant: string; target: string }, diary: Diary, enough: () => boolean): Promise<void> {
  while (!enough()) {
    const port = living(world.nodes, Math.random())?.brokerPort;
    const worked = port === undefined ? 0 : await use({
      host: 'localhost', port, user: person.name, database: to.target, ssl: person.tls, options: `-c brevet.grant=${to.grant} -c brevet.wait=3s`,
      connectionTimeoutMillis: BROKER_PATIENCE_MS,
    }, BETWEEN_USES_MS, enough);
    if (worked > 0) diary.sessions += 1;
    await sleep(300);
  }
}

/** Knocks at the back door of a target as the account that a grant has there. */
async function tryGrantsAccount(world: FaultWorld, person: Person, grant: string, target: string, enough: () => boolean): Promise<void> {
  let account: string | null = null;
  while (account === null && !enough()) {
    const shown = await world.ask<Shown>(person.caller, Math.random(), 'GET', `/api/v1/grants/${grant}`);
    account = shown?.status === 200 ? (shown.body.parts[0]?.object ?? null) : null;
    if (account === null) await sleep(300);
  }
  const server = world.targets.get(target);
  if (account !== null && server) await tryPast(server, account, enough);
}

/** Tries as this account, over and over. No password is asked for, so that only what Brevet takes away keeps one out. */
export async function tryPast(server: TestServer, account: string, enough: () => boolean): Promise<void> {
  while (!enough()) {
    await use({ host: server.socket, port: server.port, user: account, database: 'orders', connectionTimeoutMillis: 2000 }, 60, enough);
    await sleep(400);
  }
}

/** One connection, used until it ends; answers how often. Never throws: `heard` gets the last words. */
export async function use(config: ClientConfig, everyMs: number, enough: () => boolean, heard: (words: string) => void = () => undefined): Promise<number> {
  const socket = new Socket();
  const client = new Client({ ...config, stream: () => socket });
  client.on('error', (error) => heard(error.message));
  let uses = 0;
  try {
    await client.connect();
    while (!enough()) {
      if (await client.query(USE).then(() => true, notAllowed)) uses += 1;
      await sleep(everyMs);
    }
  } catch (error) {
    // Cut off, or never let in: what was done the target knows.
    heard((error as Error).message);
  } finally {
    socket.destroy();
  }
  return uses;
}

/** An account of one's own may stay connected without any right. */
function notAllowed(error: unknown): false {
  if ((error as DatabaseError).code === '42501') return false;
  throw error;
}
