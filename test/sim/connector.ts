import type { Connector, PartPlan, Probe, Provisioned, TargetAccess, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Network } from './network.ts';
import type { Process } from './process.ts';
import type { Account, SimTarget } from './target.ts';

export interface ConnectorWorld {
  readonly process: Process;
  readonly network: Network;
  readonly targets: readonly SimTarget[];
  /** The node's wall clock. */
  readonly now: () => number;
  /** A new password of an account. */
  readonly password: () => string;
}

/** Marks everything that must never be told. */
export const SECRET = 'hush-';
/** For a connection, and for what is asked over one that stands. */
const CONNECT_MS = 3_000;
const PATIENCE_MS = 12_000;
const stranger = (name: string) => new Refusal('target_refused', `an account named ${name} exists on the target and is not of this part`);

/** One node's connector for simulated targets: the order of src/connectors/postgres/, with the same locks and readings. */
export function simConnector(world: ConnectorWorld): Connector {
  const of = (access: TargetAccess): SimTarget => {
    const target = world.targets.find(({ id }) => id === access.id);
    if (!target) throw new Refusal('not_found', 'there is no such target');
    return target;
  };
  return {
    type: 'sim',
    parseConfig: (config) => config as JsonObject,
    samePlace: (a, b) => a['host'] === b['host'],
    parseScope: (_, scope) => scope as JsonObject,
    within: (narrow, wide) => (narrow['roles'] as string[]).every((role) => (wide['roles'] as string[]).includes(role)),
    describe: () => [],
    probe: (access) => probe(world, of(access)),
    prepare: async (plan) => {
      const target = of(plan.target);
      await talk(world, target, 'prepare');
      if (plan.kind !== 'temporary_elevation') return {};
      return { account: demandAccount(target, plan).id };
    },
    // Sessions change nothing of the accounts here.
    baseline: (own) => own,
    provision: (plan, stillMine) => {
      if (plan.kind === 'brokered_session') return look(world, of(plan.target), plan);
      return makeRole(world, of(plan.target), plan, stillMine);
    },
    withdraw: async (plan) => {
      if (plan.kind === 'brokered_session') return endBrokered(world, of(plan.target), plan);
      if (plan.kind === 'temporary_elevation' && plan.prior === null) return { gone: true, residue: [], evidence: { nothingWasGiven: true } };
      return remove(world, of(plan.target), plan.objectName, (target) => target.byMark(plan.part)[0] ?? null);
    },
    listOwned: async (access) => {
      const target = of(access);
      await talk(world, target, 'list owned');
      return [...target.accounts.values()].filter(({ mark }) => mark !== null).map(({ name, validUntil }) => ({ name, validUntil: validUntil === null ? null : new Date(validUntil) }));
    },
    removeOwned: (access, name) => remove(world, of(access), name, (target) => {
      const account = target.byName(name);
      return account?.mark ? account : null;
    }),
    upstream: ({ target, user, password }) => ({ protocol: 'postgresql', host: String(target['host']), port: 5432, tls: 'disable', ca: null, database: 'orders', user, password, settings: {} }),
    listStanding: async () => [],
    shortfalls: async () => [],
  };
}

const rolesOf = (plan: PartPlan) => plan.scope['roles'] as string[];

/** A question to the target and its answer. @throws Refusal `target_unreachable`, `target_refused` */
async function talk({ process, network }: ConnectorWorld, target: SimTarget, what: string, patience = CONNECT_MS): Promise<void> {
  await process.wait(`${target.name} ${what}`, process.rng.between(2, process.rng.chance(0.03) ? 900 : 15));
  if (target.down || network.cutUntil(process.name, target.name) > 0) {
    // Some say so at once, others say nothing.
    await process.wait(`${target.name} does not answer`, process.rng.chance(0.5) ? 5 : patience);
    throw new Refusal('target_unreachable', 'the target does not answer');
  }
  if (target.refuses) throw new Refusal('target_refused', 'the target says no');
}

async function probe(world: ConnectorWorld, target: SimTarget): Promise<Probe> {
  try {
    await talk(world, target, 'probe');
    return { reachable: true, skewMs: target.now() - world.now(), version: '18', problem: null, hint: null };
  } catch (error) {
    const refusal = error as Refusal;
    return { reachable: refusal.code === 'target_refused', skewMs: null, version: null, problem: refusal.message, hint: null };
  }
}

async function confirm(stillMine: () => Promise<boolean>): Promise<void> {
  if (!(await stillMine())) throw new Refusal('conflict', 'another worker has this part now; nothing was changed');
}

/** An account of the grant's own; or, for an elevation, a role that nobody signs in to, with the account that it raises as its member. */
async function makeRole(world: ConnectorWorld, target: SimTarget, plan: PartPlan, stillMine: () => Promise<boolean>): Promise<Provisioned> {
  await talk(world, target, 'connect');
  const raises = plan.kind === 'temporary_elevation';
  const password = raises ? null : world.password();
  const tx = await target.begin(world.process, plan.objectName);
  try {
    const named = target.byName(plan.objectName);
    const own = target.byMark(plan.part)[0] ?? null;
    if (named && named !== own) throw stranger(plan.objectName);
    if (own && own.name !== plan.objectName) throw new Refusal('target_refused', 'the account was renamed on the target');
    if (own?.mark && own.mark.fence > plan.fence) throw new Refusal('conflict', 'a later worker has made this account already');
    const member = raises ? demandAccount(target, plan) : null;
    if (member && member.id !== plan.prior?.['account']) throw new Refusal('target_refused', 'the account is another one than when it was prepared');
    await confirm(stillMine);
    await target.commit(tx, () => {
      const account = own ?? target.addAccount(plan.objectName);
      account.mark = { grant: plan.grant, part: plan.part, fence: plan.fence };
      Object.assign(account, { login: !raises, validUntil: plan.deadline.getTime(), password });
      account.roles.clear();
      member?.memberOf.add(account.id);
    }, () => rolesOf(plan).forEach((role) => target.byName(plan.objectName)?.roles.add(role)));
  } finally {
    target.rollback(tx);
  }
  await talk(world, target, 'read back', PATIENCE_MS);
  const [read] = target.byMark(plan.part);
  const asPlanned = read?.password === password && rolesOf(plan).every((role) => read.roles.has(role)) && (!raises || demandAccount(target, plan).memberOf.has(read.id));
  if (!asPlanned) throw new Refusal('target_refused', 'read back, and not as planned');
  return { secret: password, evidence: { account: read.name, id: read.id } };
}

/** No sign-in; end the connections, a member's as well; drop; look again. Whatever fails in between is told as not gone. */
async function remove(world: ConnectorWorld, target: SimTarget, name: string, find: (target: SimTarget) => Account | null): Promise<Withdrawn> {
  await talk(world, target, 'connect');
  const first = await target.begin(world.process, name);
  const account = find(target);
  try {
    if (account) {
      await target.commit(first, () => {
        account.login = false;
        account.password = null;
      });
    }
  } finally {
    target.rollback(first);
  }
  if (!account) {
    // Whoever dropped the account did not end its connections, and nothing else tells any more whose they were.
    const orphans = endBackends(target, (backend) => !target.accounts.has(backend.account));
    const unmarked = target.byName(name) !== null;
    return { gone: !unmarked, residue: unmarked ? [{ kind: 'unmarked_role', name }] : [], evidence: { found: false, unmarkedRole: unmarked, orphans } };
  }
  await talk(world, target, 'end connections', PATIENCE_MS);
  const ended = endBackends(target, (backend) => backend.account === account.id || target.accounts.get(backend.account)?.memberOf.has(account.id) === true);
  const second = await target.begin(world.process, name);
  try {
    await target.commit(second, () => target.drop(account.id));
  } finally {
    target.rollback(second);
  }
  await talk(world, target, 'read back', PATIENCE_MS);
  const left = target.accounts.has(account.id) || [...target.backends.values()].some((backend) => backend.account === account.id);
  return { gone: !left, residue: [], evidence: { found: true, sessionsEnded: ended, left } };
}

function endBackends(target: SimTarget, which: (backend: { account: number; pid: number; startedAt: number }) => boolean): number {
  const found = [...target.backends.values()].filter(which);
  for (const { pid } of found) target.end(pid);
  return found.length;
}

function demandAccount(target: SimTarget, plan: PartPlan): Account {
  const account = plan.account === null ? null : target.byName(plan.account);
  if (!account) throw new Refusal('target_refused', 'the account does not exist on the target');
  return account;
}

async function look(world: ConnectorWorld, target: SimTarget, plan: PartPlan): Promise<Provisioned> {
  await talk(world, target, 'look');
  return { secret: null, evidence: { account: demandAccount(target, plan).name, changed: false } };
}

async function endBrokered(world: ConnectorWorld, target: SimTarget, plan: PartPlan): Promise<Withdrawn> {
  await talk(world, target, 'end connections');
  const pids = ((plan.prior?.['backends'] ?? []) as { pid?: number }[]).map(({ pid }) => pid);
  const ended = endBackends(target, ({ pid }) => pids.includes(pid));
  return { gone: true, residue: [], evidence: { recorded: pids.length, sessionsEnded: ended } };
}
