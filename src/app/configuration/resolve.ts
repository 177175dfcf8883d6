import { didYouMean } from '#domain/did-you-mean.ts';
import { formatDuration, parseDuration } from '#domain/duration.ts';
import type { ApprovalStage, Entitlement, EntitlementPart } from '#domain/entitlement.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { connectorFor, type App } from '../app.ts';
import type { Desired, Place } from './desired.ts';
import { finding, type ConfigurationFinding } from './read-files.ts';

/** An entitlement as the files want it, with names where ids will stand. */
export interface ResolvedEntitlement {
  readonly title: string;
  readonly folder: string | null;
  readonly parts: readonly (Omit<EntitlementPart, 'target'> & { readonly target: string })[];
  readonly stages: readonly (Omit<ApprovalStage, 'groups'> & { readonly groups: readonly string[] })[];
  readonly defaultDuration: number;
  readonly maxDuration: number;
  readonly endMode: Entitlement['endMode'];
  readonly warnSeconds: number;
  readonly graceSeconds: number;
  readonly maskLiterals: boolean;
}

export interface Resolved {
  readonly desired: Desired;
  /** Configurations as the connectors normalise them. */
  readonly targets: ReadonlyMap<string, JsonObject>;
  readonly entitlements: ReadonlyMap<string, ResolvedEntitlement>;
  readonly findings: readonly ConfigurationFinding[];
}

type Demand = (known: ReadonlySet<string>, kind: string, name: string, place: Place) => void;

/** Checks what the shape could not: names that exist, scopes that the connector takes, durations in order. */
export function resolve(app: App, desired: Desired, people: ReadonlySet<string>): Resolved {
  const findings: ConfigurationFinding[] = [];
  const check = <T>(placeOf: (path: readonly string[]) => Place, work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { field = '', hint } = error.details;
      const path = field.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
      const where = field === '' || error.message.includes(field) ? '' : `${field}: `;
      findings.push(finding(error.code, `${where}${error.message}${hint ? ` (${hint})` : ''}`, placeOf(path)));
      return null;
    }
  };
  const demand: Demand = (known, kind, name, place) => {
    if (!known.has(name)) findings.push(finding('unknown_name', `there is no ${kind} "${name}".${didYouMean(name, known)}`.replace(/\.$/, ''), place));
  };
  const named = (kind: 'people' | 'workloads' | 'folders') => new Set(Object.keys(desired[kind]));
  const [persons, folders] = [new Set([...people, ...named('people')]), named('folders')];
  const everybody = new Set([...persons, ...named('workloads')]);

  for (const [name, group] of Object.entries(desired.groups)) {
    for (const member of group.members) demand(everybody, 'person or workload', member, desired.whereIs('groups', name));
  }
  for (const [name, workload] of Object.entries(desired.workloads)) {
    demand(persons, 'person', workload.owner, desired.whereIs('workloads', name));
  }
  const targets = new Map<string, JsonObject>();
  for (const [name, target] of Object.entries(desired.targets)) {
    const place = desired.whereIs('targets', name);
    if (target.folder) demand(folders, 'folder', target.folder, place);
    const config = check((path) => desired.whereIs('targets', name, ['config', ...path]), () => connectorFor(app, target.type).parseConfig(target.config));
    if (config) targets.set(name, config);
  }
  const entitlements = new Map<string, ResolvedEntitlement>();
  for (const name of Object.keys(desired.entitlements)) {
    const resolved = check(() => desired.whereIs('entitlements', name), () => resolveEntitlement(app, desired, name, demand));
    if (resolved) entitlements.set(name, resolved);
  }
  return { desired, targets, entitlements, findings };
}

function resolveEntitlement(app: App, desired: Desired, name: string, demand: Demand): ResolvedEntitlement {
  const wanted = desired.entitlements[name];
  if (!wanted) throw new Refusal('internal', `no entitlement ${name}`);
  const place = desired.whereIs('entitlements', name);
  if (wanted.folder) demand(new Set(Object.keys(desired.folders)), 'folder', wanted.folder, place);
  const maxDuration = parseDuration(wanted.maximum);
  const defaultDuration = wanted.default === undefined ? Math.min(maxDuration, 1800) : parseDuration(wanted.default);
  if (defaultDuration > maxDuration) throw new Refusal('duration_too_long', `the default is longer than the maximum of ${formatDuration(maxDuration)}`);
  const parts = wanted.parts.map((part) => {
    const target = desired.targets[part.target];
    demand(new Set(Object.keys(desired.targets)), 'target', part.target, place);
    if ((part.kind === 'ephemeral_account') !== (part.account === undefined)) {
      throw new Refusal('invalid_input', part.account === undefined ? `a ${part.kind} needs an account: a name on the target, or {name}` : 'an ephemeral account gets its name from the grant');
    }
    return { target: part.target, kind: part.kind, account: part.account ?? null, scope: target ? connectorFor(app, target.type).parseScope(part.kind, part.scope) : {} };
  });
  const stages = wanted.stages.map((stage, index) => {
    for (const group of stage.groups) demand(new Set(Object.keys(desired.groups)), 'group', group, place);
    return { name: stage.name ?? `stage ${index + 1}`, groups: stage.groups, required: stage.required };
  });
  return {
    title: wanted.title,
    folder: wanted.folder ?? null,
    parts,
    stages,
    defaultDuration,
    maxDuration,
    endMode: wanted.end,
    warnSeconds: parseDuration(wanted.warn),
    graceSeconds: parseDuration(wanted.grace),
    maskLiterals: wanted.maskLiterals,
  };
}
