import { cancelRequest } from '#app/cancel-request.ts';
import { disablePrincipal, enablePrincipal } from '#app/disable-principal.ts';
import { finishGrant } from '#app/finish-grant.ts';
import { endSessions } from '#app/gate/end-session.ts';
import { issueCertificate } from '#app/issue-certificate.ts';
import { issueConnectionToken } from '#app/issue-connection-token.ts';
import { reviewRequest } from '#app/review-request.ts';
import { revokeEverything } from '#app/revoke-everything.ts';
import { revokeGrant } from '#app/revoke-grant.ts';
import { submitExtension } from '#app/submit-extension.ts';
import { submitRequest } from '#app/submit-request.ts';
import { policyPublished } from '#domain/events/administration-events.ts';
import type { Grant } from '#domain/grant.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { SimNode } from './node.ts';
import { sourcesOf } from './policy.ts';
import type { Rng } from './random.ts';
import type { Act, Step } from './script.ts';
import { actorOf, DEFAULT_RULES, REVIEWERS } from './setup.ts';
import type { World } from './world.ts';

const TRIES = 4;
const AGAIN_MS = 2_000;

/** Does what the script says, through some server that is there; who gets no answer, or is told to come again, tries another. */
export function act(world: World, step: Step & Act, tries = TRIES): void {
  const rng = world.rng.fork(`act/${step.id}/${tries}`);
  if (step.do === 'tamper') return tamper(world, rng, step.how);
  const alive = world.nodes.filter(({ process }) => process.alive);
  const again = () => {
    if (tries > 1) world.scheduler.at(world.scheduler.now + AGAIN_MS, 'fixed', `${step.do} again`, null, () => act(world, step, tries - 1));
  };
  if (alive.length === 0) return again();
  const node = rng.pick(alive);
  world.scheduler.at(world.scheduler.now + rng.between(1, 20), 'step', `${step.do} ${'who' in step ? step.who : ''}`, node.process, () => {
    perform(world, node, rng, step).then(
      (answer) => world.scheduler.tell(`${step.do} ${'who' in step ? step.who : ''}: ${answer}`),
      (error: unknown) => {
        const code = error instanceof Refusal ? error.code : null;
        world.scheduler.tell(`${step.do} ${'who' in step ? step.who : ''}: ${code ?? String(error)}`);
        if ((code === null || code === 'internal') && world.excused('log') < world.scheduler.now) world.violate('onlyRefusalsLeave', `${step.do}: ${String(error)}`);
        if (code === 'unavailable') again();
      },
    );
  });
}

async function perform(world: World, node: SimNode, rng: Rng, step: Step & Act): Promise<string> {
  const { app } = node;
  switch (step.do) {
    case 'request': {
      const startAt = step.startIn === null ? null : new Date(world.storeNow() + step.startIn);
      const behalf = step.who === 'robot' && rng.chance(0.5) ? 'ann' : null;
      return (await submitRequest(app, actorOf(world, step.who), { entitlement: step.entitlement, reason: 'it is slow', ticket: null, duration: step.seconds, startAt, onBehalfOf: behalf, extends: null })).state;
    }
    case 'review': return await review(world, node, rng, step.who, step.how);
    case 'connect': return await connect(world, node, rng, step);
    case 'extend': {
      const grant = pickGrant(world, rng, step.who);
      return grant ? (await submitExtension(app, actorOf(world, step.who), grant.id, { duration: step.seconds, reason: 'more', ticket: null })).state : 'nothing to extend';
    }
    case 'flood': return await flood(world, rng, step.who);
    case 'publish': return await publish(world, node, step.deny);
    case 'tamper': return '';
    default: return await takeBack(world, node, rng, step.do, step.who);
  }
}

/** Asks for the same through every server at once, more often than the quota allows. */
async function flood(world: World, rng: Rng, who: string): Promise<string> {
  const ask = (node: SimNode) => submitRequest(node.app, actorOf(world, who), { entitlement: 'orders-write', reason: 'at once', ticket: null, duration: 5, startAt: null, onBehalfOf: null, extends: null });
  const answers = await Promise.all(Array.from({ length: 9 }, () => rng.pick(world.nodes)).map((node) => (node.process.alive ? ask(node).then(({ state }) => state, codeOf) : 'away')));
  return answers.join(' ');
}

/** What a refusal says. @throws what is none */
function codeOf(error: unknown): string {
  if (error instanceof Refusal && error.code !== 'internal') return error.code;
  throw error;
}

async function takeBack(world: World, node: SimNode, rng: Rng, what: 'finish' | 'cancel' | 'revoke' | 'disable' | 'enable' | 'endSessions' | 'takeAll', who: string): Promise<string> {
  const { app } = node;
  const [holder, root] = [actorOf(world, who), actorOf(world, 'root')];
  const grant = pickGrant(world, rng, who);
  const [pending] = pendingRequests(world).filter(({ principal }) => principal === holder.id);
  if (what === 'finish' && grant) await finishGrant(app, holder, grant.id);
  if (what === 'revoke' && grant) await revokeGrant(app, rng.chance(0.5) ? root : actorOf(world, rng.pick(REVIEWERS)), grant.id, 'no more');
  if (what === 'cancel' && pending) await cancelRequest(app, holder, pending.id);
  if (what === 'disable') await disablePrincipal(app, root, holder.id);
  if (what === 'enable') await enablePrincipal(app, root, holder.id);
  if (what === 'endSessions') return String(await endSessions(app, root, { principal: holder.id }));
  if (what === 'takeAll') return String((await revokeEverything(app, root, rng.chance(0.5) ? { principal: holder.id } : { target: rng.pick(world.targets).id }, 'all')).grants.length);
  return 'done';
}

const pendingRequests = ({ memory: { tables } }: World): AccessRequest[] =>
  [...tables.requests.live].flatMap((id) => tables.requests.rows.get(id) ?? []);

function pickGrant(world: World, rng: Rng, who: string): Grant | null {
  const { tables } = world.memory;
  const id = actorOf(world, who).id;
  const grants = [...tables.grants.live].flatMap((key) => tables.grants.rows.get(key) ?? []).filter(({ principal, state }) => principal === id && state !== 'revoking');
  return grants.length === 0 ? null : rng.pick(grants);
}

/** A reviewer decides on everything that waits, as they saw it; now and then on what they saw of another request. */
async function review(world: World, node: SimNode, rng: Rng, who: string, how: 'approve' | 'deny' | 'narrow'): Promise<string> {
  const answers: string[] = [];
  const seen = pendingRequests(world);
  for (const request of seen) {
    const hash = rng.chance(0.05) ? rng.pick(seen).hash : request.hash;
    const cut = how === 'narrow';
    const input = {
      decision: how === 'deny' ? ('deny' as const) : ('approve' as const), hash, reason: how === 'deny' ? 'no' : null,
      durationSeconds: cut ? Math.max(1, Math.floor(request.durationSeconds / 2)) : null,
      scopes: cut && request.extendsGrant === null ? { 0: { roles: ['read'] } } : null,
    };
    try {
      answers.push((await reviewRequest(node.app, actorOf(world, who), request.id, input)).state);
      if (hash !== request.hash) world.violate('reviewsNameWhatWasSeen', `${who} saw ${hash.slice(0, 8)}, and has decided on ${request.id} (${request.hash.slice(0, 8)})`);
    } catch (error) {
      if (error instanceof Refusal && error.code === 'unavailable') throw error;
      answers.push(codeOf(error));
    }
  }
  return answers.join(' ') || 'nothing to review';
}

async function connect(world: World, node: SimNode, rng: Rng, step: Step & Extract<Act, { do: 'connect' }>): Promise<string> {
  const actor = actorOf(world, step.who);
  const broker = world.brokers[world.nodes.indexOf(node)];
  if (!broker?.process.alive) return 'no broker';
  const grant = pickGrant(world, rng, step.who);
  if (step.by === 'token' && !grant) return 'no grant';
  const proof = step.by === 'token' && grant
    ? { by: 'token' as const, handle: (await issueConnectionToken(node.app, node.identity, actor, grant.id)).handle }
    : { by: 'certificate' as const, fingerprint: (await issueCertificate(node.app, node.authority, actor, 'key', null)).fingerprint, subject: actor.id };
  const ask = { proof, target: null, within: null, grant: null, request: null, waitSeconds: step.waitSeconds, client: { address: '192.0.2.7', application: null } };
  const knock = () => {
    broker.serve(ask, step.holdMs).then(
      (answer) => world.scheduler.tell(`connect ${step.who}: ${answer}`),
      (error: unknown) => world.scheduler.tell(`connect ${step.who}: ${String(error)}`),
    );
  };
  // Some come at the last moment, or right after it.
  const deadline = grant?.deadline ? grant.deadline.getTime() - world.storeOffset : 0;
  const last = step.id % 4 === 0 && deadline > world.scheduler.now && deadline < world.scheduler.now + 120_000;
  world.scheduler.at(last ? deadline - rng.between(0, 8) : world.scheduler.now + rng.between(1, 10), last ? 'fixed' : 'step', 'client connects', broker.process, knock);
  return 'knocks';
}

async function publish(world: World, node: SimNode, deny: readonly string[]): Promise<string> {
  const root = actorOf(world, 'root').id;
  return await node.app.store.transaction(async (tx) => {
    await tx.catalogue.lockAll();
    const version = ((await tx.policies.current())?.version ?? 0) + 1;
    await tx.policies.publish(version, sourcesOf({ ...DEFAULT_RULES, deny }), root, tx.now);
    await tx.log(policyPublished(version, '', root));
    return `version ${version} denies ${deny.join(', ') || 'nothing'}`;
  });
}

/** An operator of the target lays hands on one of Brevet's accounts. */
function tamper(world: World, rng: Rng, how: 'delete' | 'rename' | 'unmark'): void {
  const ours = world.targets.flatMap((target) => [...target.accounts.values()].filter(({ mark }) => mark !== null).map((account) => ({ target, account })));
  if (ours.length === 0) return;
  const { target, account } = rng.pick(ours);
  if (account.mark) world.tampered.add(account.mark.part);
  world.scheduler.tell(`an operator: ${how} ${account.name} on ${target.name}`);
  if (how === 'delete') target.drop(account.id);
  if (how === 'rename') account.name = `x_${account.name}`;
  if (how === 'unmark') account.mark = null;
  target.changes += 1;
  // Brevet does not touch what does not bear its mark, and says so: somebody reads it in the end.
  if (how === 'unmark') world.scheduler.at(world.scheduler.now + rng.between(5_000, 150_000), 'fixed', 'an operator drops it', null, () => target.drop(account.id));
}
