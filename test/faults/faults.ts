/** What is broken, as data: each fault with what it takes out of service, how long it lasts, and how it is put right. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outage } from './checker.ts';
import type { FaultWorld, Node } from './world.ts';

export interface Fault {
  /** Faults of one lane come one after another; the lanes go side by side. */
  readonly lane: 'nodes' | 'surroundings';
  readonly lastsMs: readonly [least: number, most: number];
  /** What can't be reached meanwhile; for a checker that must not know more. */
  readonly out: readonly Pick<Outage, 'what' | 'target'>[];
  readonly possible?: (world: FaultWorld) => boolean;
  /** Breaks it; `pick`, from 0 to 1, says which of several. Answers how to put it right. */
  readonly strike: (world: FaultWorld, pick: number) => Promise<() => Promise<void>>;
}

const SERVER = [{ what: 'server', target: null }] as const;
const STORE = [{ what: 'store', target: null }] as const;
/** `orders` and `pit` are one server. */
const TARGETS = [{ what: 'target', target: 'orders' }, { what: 'target', target: 'pit' }] as const;
const HOUR = 3600;

const one = <T>(of: readonly T[], pick: number): T => of[Math.floor(pick * of.length)] as T;

/** Processes that are gone already need no signal. */
function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** SIGSTOP to these processes of a node, until they are woken: so looks a machine that was suspended. */
const asleep = (pidsOf: (node: Node) => Promise<readonly number[]>): Fault['strike'] => async ({ nodes }, pick) => {
  const pids = await pidsOf(one(nodes, pick));
  signal(pids, 'SIGSTOP');
  return async () => signal(pids, 'SIGCONT');
};

const ofServer = async ({ server }: Node) => (server ? [server.pid] : []);
const ofBroker = async ({ server }: Node) => (await server?.brokerPids()) ?? [];

const clock = (whose: 'server' | 'broker', seconds: number): Fault => ({
  lane: 'nodes', lastsMs: [3000, 6000], out: [], possible: ({ nodes }) => nodes.every(({ clocks }) => clocks !== null),
  async strike({ nodes }, pick) {
    const { clocks } = one(nodes, pick);
    await clocks?.move(whose, seconds);
    return async () => clocks?.move(whose, 0);
  },
});

export const FAULTS: Readonly<Record<string, Fault>> = {
  'a server is killed': {
    lane: 'nodes', lastsMs: [0, 1500], out: SERVER,
    async strike({ nodes }, pick) {
      const node = one(nodes, pick);
      const { server } = node;
      node.server = null;
      await server?.kill();
      return () => node.start();
    },
  },
  'a broker is killed': {
    lane: 'nodes', lastsMs: [500, 1000], out: [],
    async strike({ nodes }, pick) {
      signal(await ofBroker(one(nodes, pick)), 'SIGKILL');
      // Its server starts another.
      return async () => undefined;
    },
  },
  'a server sleeps': { lane: 'nodes', lastsMs: [2000, 9000], out: SERVER, strike: asleep(ofServer) },
  'a broker sleeps': { lane: 'nodes', lastsMs: [2000, 8000], out: [], strike: asleep(ofBroker) },
  'a server and its broker sleep': { lane: 'nodes', lastsMs: [2000, 8000], out: SERVER, strike: asleep(async (node) => [...(await ofServer(node)), ...(await ofBroker(node))]) },
  'a server\'s clock goes an hour forward': clock('server', HOUR),
  'a server\'s clock goes an hour back': clock('server', -HOUR),
  'a broker\'s clock goes an hour forward': clock('broker', HOUR),
  'a broker\'s clock goes an hour back': clock('broker', -HOUR),

  'the store is killed': {
    lane: 'surroundings', lastsMs: [0, 2500], out: STORE,
    async strike({ store }) {
      await store.kill();
      return () => store.start();
    },
  },
  'the store is restarted': {
    lane: 'surroundings', lastsMs: [0, 500], out: STORE,
    async strike({ store }) {
      await store.stop();
      return () => store.start();
    },
  },
  'the store is paused': {
    lane: 'surroundings', lastsMs: [1000, 6000], out: STORE,
    async strike({ store }) {
      await store.pause();
      return () => store.resume();
    },
  },
  'a target is killed': {
    lane: 'surroundings', lastsMs: [500, 4000], out: TARGETS,
    async strike({ targets }) {
      const target = targets.get('orders');
      await target?.kill();
      return async () => target?.start();
    },
  },
  'a target is paused': {
    lane: 'surroundings', lastsMs: [1000, 6000], out: TARGETS,
    async strike({ targets }) {
      const target = targets.get('orders');
      await target?.pause();
      return async () => target?.resume();
    },
  },
  'a target accepts and never answers': {
    lane: 'surroundings', lastsMs: [2000, 8000], out: [{ what: 'target', target: 'pit' }],
    async strike({ pit }) {
      pit.freeze();
      return async () => pit.thaw();
    },
  },
  'a target is behind a firewall': {
    lane: 'surroundings', lastsMs: [2000, 8000], out: [{ what: 'target', target: 'walled' }], possible: ({ wall }) => wall !== null,
    async strike({ wall }) {
      await wall?.close();
      return async () => wall?.open();
    },
  },
};

/** One fault of a story: which, after how long a rest, how long, and on whom. */
export interface Turn {
  readonly fault: string;
  readonly restMs: number;
  readonly lastsMs: number;
  readonly pick: number;
}

/** Turns without an end: all faults of a lane in an order of chance, then all again in another. */
export function* turns(names: readonly string[], random: () => number): Generator<Turn> {
  while (names.length > 0) {
    for (const fault of shuffled(names, random)) {
      const [least, most] = FAULTS[fault]?.lastsMs ?? [0, 0];
      yield { fault, restMs: 500 + random() * 2000, lastsMs: least + random() * (most - least), pick: random() };
    }
  }
}

function shuffled(names: readonly string[], random: () => number): string[] {
  return names.map((name) => ({ name, at: random() })).toSorted((a, b) => a.at - b.at).map(({ name }) => name);
}

/** Breaks one thing after another until the time is over, and puts each right; notes what was out when, by its own clock. */
export async function breakThings(world: FaultWorld, lane: Fault['lane'], random: () => number, over: () => boolean, note: { struck: (fault: string) => void; outage: (outage: Outage) => void }): Promise<void> {
  const names = Object.entries(FAULTS).filter(([, fault]) => fault.lane === lane && (fault.possible?.(world) ?? true)).map(([name]) => name);
  for (const { fault: name, restMs, lastsMs, pick } of turns(names, random)) {
    await sleep(restMs);
    if (over()) return;
    const fault = FAULTS[name] as Fault;
    note.struck(name);
    const from = Date.now();
    const mend = await fault.strike(world, pick);
    await sleep(lastsMs);
    await mend();
    for (const out of fault.out) note.outage({ ...out, from, to: Date.now() });
  }
}
