import { IDLE_MS } from '#store/connection.ts';
import type { Fault, Step } from './script.ts';
import type { World } from './world.ts';

/** What a fault explains, after it has passed: a worker gives up on what does not answer, a loop pauses, a probe comes round. */
const AFTER_MS = 16_000;
/** A target that refused was left alone for at most a minute. */
const BACKOFF_MS = 61_000;
/** A broker that hears nothing carries on for its grace, and looks four times a second. */
const GRACE_MS = 30_000 + 3_400 + 2_000;

type Of<Name extends Fault['fault']> = Extract<Fault, { fault: Name }>;

export function strike(world: World, step: Step & Fault): void {
  world.scheduler.tell(`FAULT ${JSON.stringify(step)}`);
  const now = world.scheduler.now;
  switch (step.fault) {
    case 'crash': return crash(world, step);
    case 'pause': return pause(world, step);
    case 'commit': return void world.nodes[step.node]?.fates.push(step.fate);
    case 'cut': return cut(world, step);
    case 'storeDown': return storeDown(world, step.ms);
    case 'keysDown': return lasting(world, step.ms, (until) => (world.keysDownUntil = until));
    case 'signerDown': return lasting(world, step.ms, (until) => (world.signerDownUntil = until));
    case 'noticesLost': return lasting(world, step.ms, (until) => (world.noticesLostUntil = until));
    case 'logBroken':
      world.excuse('log', now + step.ms + BACKOFF_MS);
      return lasting(world, step.ms, (until) => (world.logBroken = { ...step, until }));
    case 'targetDown': return target(world, step.target, step.ms, AFTER_MS, (one, until) => (one.downUntil = until));
    case 'targetRefuses': return target(world, step.target, step.ms, BACKOFF_MS + 5_000, (one, until) => (one.refusesUntil = until));
    case 'targetFate': return void world.targets[step.target]?.fates.push(...step.fates);
    case 'clockStep':
      world.storeOffset += step.ms;
      // What was put off by the clock as it was is found within a minute (src/app/reconcile/probe-targets.ts).
      world.excuse('everything', now + (step.ms < 0 ? BACKOFF_MS + 5_000 : AFTER_MS));
      for (const { name } of [...world.brokers, ...world.orphans]) for (const what of [name, `${name} clock`]) world.excuse(what, now + 5_000);
      return;
    case 'skew': return target(world, step.target, step.forMs, 0, (one, until) => {
      one.skewMs = step.ms;
      world.scheduler.at(until, 'fixed', `the clock of ${one.name} is right again`, null, () => (one.skewMs = 0));
    });
    case 'brokerDies': return world.brokers[step.node]?.die();
    case 'restore': return restore(world, step.ageMs);
    default:
  }
}

/** Marks its end in time, so that nothing leaps over it. */
function lasting(world: World, ms: number, set: (until: number) => void): void {
  set(world.scheduler.now + ms);
  world.scheduler.at(world.scheduler.now + ms, 'fixed', 'a fault ends', null, () => undefined);
}

function target(world: World, index: number, ms: number, after: number, set: (target: World['targets'][number], until: number) => void): void {
  const one = world.targets[index];
  if (!one) return;
  lasting(world, ms, (until) => set(one, until));
  if (after > 0) world.excuse(one.id, world.scheduler.now + ms + after);
}

/** Whether another server is well, and reaches the target if one is named. */
const othersAreHealthy = ({ nodes, network }: World, index: number, target?: string) =>
  nodes.some((node, at) => at !== index && node.healthy && (target === undefined || network.cutUntil(node.name, target) === 0));

/** Of what strikes one server the others know nothing: they take over its claims, if there are any. */
function excuseNode(world: World, index: number, ms: number): void {
  const { now } = world.scheduler;
  world.excuse('everything', now + (othersAreHealthy(world, index) ? Math.min(ms, 1_000) : ms) + AFTER_MS);
  for (const { id, name } of world.targets) if (!othersAreHealthy(world, index, name)) world.excuse(id, now + ms + AFTER_MS);
  const broker = world.brokers[index];
  if (broker) world.excuse(broker.name, now + Math.min(ms + 6_000, GRACE_MS));
}

/** Waits for `count` effects of the servers, and strikes the one that has the last of them, right before it or right after. */
function atEffect(world: World, index: number, count: number, when: 'now' | 'before' | 'after', run: (index: number) => void): void {
  if (when === 'now' || count === 0) return run(index);
  world.strikes.push({ left: count, when, run });
}

function crash(world: World, { node, downMs, after, when }: Of<'crash'>): void {
  atEffect(world, node, after, when, (index) => {
    if (world.calm || !world.nodes[index]?.process.alive) return;
    excuseNode(world, index, downMs);
    const broker = world.brokers[index];
    if (broker) world.excuse(broker.name, world.scheduler.now + GRACE_MS);
    world.killNode(index);
    lasting(world, downMs, (until) => world.scheduler.at(until, 'fixed', `node-${index + 1} starts`, null, () => !world.nodes[index]?.process.alive && world.startNode(index)));
  });
}

function pause(world: World, { node, broker, ms, after }: Of<'pause'>): void {
  if (broker) {
    const paused = world.brokers[node]?.process;
    if (!paused) return;
    paused.pausedUntil = world.scheduler.now + ms;
    for (const what of [paused.name, `${paused.name} clock`]) world.excuse(what, world.scheduler.now + ms + 5_000);
    return lasting(world, ms, () => undefined);
  }
  atEffect(world, node, after, 'after', (index) => {
    const paused = world.nodes[index]?.process;
    if (world.calm || !paused?.alive) return;
    excuseNode(world, index, ms);
    paused.pausedUntil = world.scheduler.now + ms;
    lasting(world, ms, () => loseIdle(world, index, ms));
  });
}

/** The database does not wait for ever for somebody in mid-transaction. */
function loseIdle(world: World, index: number, ms: number): void {
  const node = world.nodes[index];
  if (ms > IDLE_MS) world.scheduler.at(world.scheduler.now + IDLE_MS, 'fixed', 'the store gives up on a silent server', null, () => node && !node.healthy && node.store.loseAll());
}

function cut(world: World, { node: index, from, target: at, ms }: Of<'cut'>): void {
  const { now } = world.scheduler;
  const [node, broker, one] = [world.nodes[index], world.brokers[index], world.targets[at]];
  if (!node || !broker || !one) return;
  if (from === 'store') {
    world.network.cut(node.name, 'store', now + ms);
    excuseNode(world, index, ms);
    lasting(world, ms, (until) => {
      loseIdle(world, index, ms);
      world.scheduler.at(until + 50, 'step', 'listens again', node.process, () => node.store.reheard());
    });
  } else if (from === 'target') {
    world.network.cut(node.name, one.name, now + ms);
    lasting(world, ms, () => undefined);
    // What falls due there the others take away, even when this server claims it first; but what is under way is stuck.
    if (!othersAreHealthy(world, index, one.name)) world.excuse(one.id, now + ms + AFTER_MS);
    for (const part of claimedOn(world, one.id)) world.excuse(part, now + AFTER_MS);
  } else {
    world.network.cut(broker.name, from === 'broker' ? node.name : one.name, now + ms);
    world.excuse(broker.name, now + Math.min(ms + 6_000, GRACE_MS));
    lasting(world, ms, () => undefined);
  }
}

function* claimedOn({ memory: { tables } }: World, target: string): Generator<string> {
  for (const id of tables.parts.live) {
    const row = tables.parts.rows.get(id);
    if (row?.part.target === target && row.claimedUntil !== null) yield id;
  }
}

function storeDown(world: World, ms: number): void {
  lasting(world, ms, (until) => {
    world.storeDownUntil = until;
    for (const node of world.nodes) {
      node.store.loseAll();
      world.scheduler.at(until + node.process.rng.between(50, 500), 'step', 'listens again', node.process, () => node.store.reheard());
    }
  });
  world.excuse('everything', world.scheduler.now + ms + AFTER_MS);
  for (const broker of [...world.brokers, ...world.orphans]) world.excuse(broker.name, world.scheduler.now + Math.min(ms + 6_000, GRACE_MS));
}

/** Everything is stopped, yesterday's copy is put in place, everything is started. What came in between is not known any more. */
function restore(world: World, ageMs: number): void {
  const { scheduler } = world;
  const backup = world.memory.backup();
  const sizeBefore = world.memory.arrivals;
  lasting(world, ageMs, (at) => scheduler.at(at, 'fixed', 'a backup is restored', null, () => {
    if (world.calm) return;
    for (const index of world.nodes.keys()) world.killNode(index);
    for (const { name } of [...world.brokers, ...world.orphans]) for (const what of [name, `${name} clock`]) world.excuse(what, scheduler.now + GRACE_MS);
    world.memory.restore(backup);
    world.memory.arrivals = Math.max(sizeBefore, world.memory.arrivals);
    world.policies.splice(world.policies.findIndex(({ version }) => version > world.memory.tables.policies.rows.size) >>> 0);
    world.restoredAt = scheduler.now;
    world.restoredGrants = new Set(world.memory.tables.grants.rows.keys());
    world.due.clear();
    world.excuse('everything', scheduler.now + AFTER_MS);
    for (const index of world.nodes.keys()) world.startNode(index);
  }));
}

/** Whatever was wrong is right again, every server runs, and nothing more goes wrong. */
export function heal(world: World): void {
  const { scheduler } = world;
  scheduler.tell('HEALING');
  world.calm = true;
  Object.assign(world, { storeDownUntil: 0, keysDownUntil: 0, signerDownUntil: 0, noticesLostUntil: 0, logBroken: null });
  world.excuse('log', scheduler.now + BACKOFF_MS);
  world.network.heal();
  world.strikes.length = 0;
  for (const one of world.targets) {
    Object.assign(one, { downUntil: 0, refusesUntil: 0, skewMs: 0 });
    one.fates.length = 0;
    // What somebody took the mark from is theirs to remove.
    for (const account of one.accounts.values()) if (account.mark === null && account.name.startsWith('brevet_')) one.drop(account.id);
  }
  for (const [index, node] of world.nodes.entries()) {
    node.fates.length = 0;
    node.process.pausedUntil = 0;
    if (!node.process.alive) world.startNode(index);
    else scheduler.at(scheduler.now + 1, 'step', 'listens again', node.process, () => node.store.reheard());
    const broker = world.brokers[index];
    if (broker) broker.process.pausedUntil = 0;
  }
  world.excuse('everything', scheduler.now + AFTER_MS);
}
