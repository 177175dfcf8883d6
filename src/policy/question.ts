import { isIP } from 'node:net';
import type { PolicyContext, PolicyQuestion, PolicyResource } from '#app/ports/policy.ts';
import type { Cedar, EntityJson } from './cedar.ts';
import type { EntityName } from './policy-tree.ts';
import { SYSTEM } from './schema.ts';

type Call = Parameters<Cedar['statefulIsAuthorized']>[0];
/** A question as Cedar takes it, without the policies. */
export type CedarQuestion = Pick<Call, 'principal' | 'action' | 'resource' | 'context' | 'entities'>;
type Value = CedarQuestion['context'][string];

/**
 * The question in Cedar's form, once for each target of the resource: access that reaches several targets must be allowed on
 * every one. Only the entities that the question touches are handed over (each costs about 17 us).
 */
export function toCedar(question: PolicyQuestion): CedarQuestion[] {
  const { resource } = question;
  const targets = resource?.targets ?? [];
  if (resource === null || targets.length <= 1) return [forTargets(question, targets)];
  return targets.map((target) => forTargets(question, [target]));
}

function forTargets(question: PolicyQuestion, targets: PolicyResource['targets']): CedarQuestion {
  const { principal, resource } = question;
  const who = principalEntity(question);
  const what = resource ? entitlementEntities(resource, targets) : [entity({ type: 'System', id: SYSTEM })];
  return {
    principal: { type: principal.kind === 'workload' ? 'Workload' : 'Person', id: principal.name },
    action: { type: 'Action', id: question.action },
    resource: resource ? { type: 'Entitlement', id: resource.name } : { type: 'System', id: SYSTEM },
    context: contextRecord(question.context),
    entities: [who, ...what],
  };
}

function entity(uid: EntityName, attrs: Record<string, Value> = {}, parents: EntityName[] = []): EntityJson {
  return { uid: { ...uid }, attrs, parents: parents.map((parent) => ({ ...parent })) };
}

function principalEntity({ principal }: PolicyQuestion): EntityJson {
  const { kind, id, name, administrator, owner, groups } = principal;
  const attrs: Record<string, Value> = { id, name, administrator };
  if (kind === 'workload' && owner !== null) attrs['owner'] = { __entity: { type: 'Person', id: owner } };
  const parents = groups.map((group) => ({ type: 'Group', id: group }));
  return entity({ type: kind === 'workload' ? 'Workload' : 'Person', id: name }, attrs, parents);
}

function entitlementEntities(resource: PolicyResource, targets: PolicyResource['targets']): EntityJson[] {
  const folder = (name: string | null) => (name === null ? [] : [{ type: 'Folder', id: name }]);
  const attrs: Record<string, Value> = {
    id: resource.id,
    name: resource.name,
    kinds: [...resource.kinds],
    targets: resource.targets.map(({ name }) => ({ __entity: { type: 'Target', id: name } })),
    targetTypes: resource.targets.map(({ type }) => type),
  };
  const parents = [...folder(resource.folder), ...targets.map(({ name }) => ({ type: 'Target', id: name }))];
  return [
    entity({ type: 'Entitlement', id: resource.name }, attrs, parents),
    ...resource.targets.map(({ name, type, folder: of }) => entity({ type: 'Target', id: name }, { name, type }, folder(of))),
  ];
}

/**
 * The context as Cedar's record. Unknown facts stay absent.
 * @throws RangeError for an instant that is none: a question that can't be put is not answered with yes.
 */
function contextRecord(context: PolicyContext): Record<string, Value> {
  const now = new Date(context.now);
  const { durationSeconds, startAt, reason, ticket, clientIp, authentication, onBehalfOf, requester } = context;
  const record: Record<string, Value> = {
    now: extension('datetime', now.toISOString()),
    hourUtc: now.getUTCHours(),
    weekdayUtc: now.getUTCDay() || 7,
  };
  if (startAt !== undefined) record['startAt'] = extension('datetime', new Date(startAt).toISOString());
  if (clientIp !== undefined) record['clientIp'] = extension('ip', plainIp(clientIp));
  if (authentication !== undefined) {
    const { method, ageSeconds, phishingResistant } = authentication;
    record['authentication'] = { method, ageSeconds, phishingResistant };
  }
  for (const [key, value] of Object.entries({ durationSeconds, reason, ticket, onBehalfOf, requester })) {
    if (value !== undefined) record[key] = value;
  }
  return record;
}

function extension(fn: string, arg: string): Value {
  return { __extn: { fn, arg } };
}

/**
 * Cedar takes no IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`, as Node reports it on a dual-stack socket), and no zone.
 * A network (`10.0.0.0/8`) is none either: nobody connects from a network, and it would match the wrong ranges.
 * @throws RangeError if it is no address
 */
function plainIp(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '');
  if (isIP(plain) === 0) throw new RangeError('the client address is not an IP address');
  return plain;
}

/** The facts of a question as plain values, for the explanation: `facts.context.durationSeconds`. */
export function plainFacts(question: PolicyQuestion): Readonly<Record<string, unknown>> {
  const { principal, resource, context } = question;
  const now = new Date(context.now);
  const own = { ...principal, owner: principal.owner ?? undefined };
  return {
    principal: own,
    action: question.action,
    resource: resource && { ...resource, targets: resource.targets.map(({ name }) => name), targetTypes: resource.targets.map(({ type }) => type) },
    context: { ...context, hourUtc: now.getUTCHours(), weekdayUtc: now.getUTCDay() || 7 },
  };
}
