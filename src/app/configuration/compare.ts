import { createHash } from 'node:crypto';
import { canonicalJson } from '#domain/canonical-json.ts';
import { formatDuration } from '#domain/duration.ts';
import type { Json } from '#domain/json.ts';
import type { Tx } from '../ports/store.ts';
import type { Resolved, ResolvedEntitlement } from './resolve.ts';

export type ObjectKind = 'person' | 'workload' | 'group' | 'folder' | 'target' | 'entitlement' | 'policy';

/** What applying would do to one object. `lines` are for people: `maximum: 1h -> 30m`. */
export interface Change {
  readonly kind: ObjectKind;
  readonly name: string;
  readonly change: 'create' | 'update' | 'retire' | 'restore';
  readonly lines: readonly string[];
}

/** One object as plain data, by field, so that two states can be held side by side. */
type Plain = Readonly<Record<string, Json>>;
interface Current {
  readonly value: Plain;
  readonly retired: boolean;
}
export type State = ReadonlyMap<string, Current>;

const key = (kind: ObjectKind, name: string) => `${kind}/${name}`;

/** What stands in the store, in the form that the files are compared with. */
export async function readState(tx: Tx): Promise<State> {
  const state = new Map<string, Current>();
  const put = (kind: ObjectKind, name: string, value: Plain, retired = false) => state.set(key(kind, name), { value, retired });
  const people = await tx.principals.all();
  const nameOf = new Map(people.map((one) => [one.id as string, one.name]));
  for (const one of people) {
    if (one.kind === 'person') put('person', one.name, { name: one.displayName, administrator: one.administrator });
    else put('workload', one.name, { name: one.displayName, owner: nameOf.get(one.owner ?? '') ?? '' });
  }
  const groups = await tx.catalogue.groups();
  const groupName = new Map(groups.map((group) => [group.id as string, group.name]));
  for (const group of groups) {
    const members = (await tx.catalogue.members(group.id)).map((member) => nameOf.get(member.principal) ?? '').sort();
    put('group', group.name, { title: group.title, members });
  }
  const folders = await tx.catalogue.folders();
  const folderName = new Map(folders.map((folder) => [folder.id as string, folder.name]));
  for (const folder of folders) put('folder', folder.name, { title: folder.title });
  const targets = await tx.catalogue.targets();
  const targetName = new Map(targets.map((target) => [target.id as string, target.name]));
  for (const target of targets) {
    put('target', target.name, { type: target.type, folder: folderName.get(target.folder ?? '') ?? null, config: target.config }, target.retiredAt !== null);
  }
  for (const one of await tx.catalogue.entitlements()) {
    const resolved: ResolvedEntitlement = {
      ...one,
      folder: folderName.get(one.folder ?? '') ?? null,
      parts: one.parts.map((part) => ({ ...part, target: targetName.get(part.target) ?? '' })),
      stages: one.stages.map((stage) => ({ ...stage, groups: stage.groups.map((group) => groupName.get(group) ?? '') })),
    };
    put('entitlement', one.name, entitlementPlain(resolved), one.retiredAt !== null);
  }
  for (const source of (await tx.policies.current())?.sources ?? []) put('policy', source.file, { text: source.text });
  return state;
}

/** The same form, of what the files want. */
export function wantedState({ desired, targets, entitlements }: Resolved): ReadonlyMap<string, Plain> {
  const wanted = new Map<string, Plain>();
  for (const [name, one] of Object.entries(desired.people)) wanted.set(key('person', name), { name: one.name, administrator: one.administrator });
  for (const [name, one] of Object.entries(desired.workloads)) wanted.set(key('workload', name), { name: one.name, owner: one.owner });
  for (const [name, one] of Object.entries(desired.groups)) wanted.set(key('group', name), { title: one.title ?? '', members: [...new Set(one.members)].sort() });
  for (const [name, one] of Object.entries(desired.folders)) wanted.set(key('folder', name), { title: one.title ?? '' });
  for (const [name, config] of targets) {
    const target = desired.targets[name];
    wanted.set(key('target', name), { type: target?.type ?? '', folder: target?.folder ?? null, config });
  }
  for (const [name, one] of entitlements) wanted.set(key('entitlement', name), entitlementPlain(one));
  for (const source of desired.policies) wanted.set(key('policy', source.file), { text: source.text });
  return wanted;
}

function entitlementPlain(one: ResolvedEntitlement): Plain {
  return {
    title: one.title,
    folder: one.folder,
    parts: one.parts.map((part) => ({ target: part.target, kind: part.kind, account: part.account, scope: part.scope })),
    stages: one.stages.map((stage) => ({ name: stage.name, groups: [...stage.groups], required: stage.required })),
    default: formatDuration(one.defaultDuration),
    maximum: formatDuration(one.maxDuration),
    end: one.endMode,
    warn: formatDuration(one.warnSeconds),
    grace: formatDuration(one.graceSeconds),
    maskLiterals: one.maskLiterals,
  };
}

/** People and workloads are never retired by a file: leaving is a decision of its own (`brevet people disable`). */
const RETIRES: readonly ObjectKind[] = ['group', 'folder', 'target', 'entitlement', 'policy'];
const ORDER: readonly ObjectKind[] = ['person', 'workload', 'group', 'folder', 'target', 'entitlement', 'policy'];

/** What would have to change, in the order in which it can be done. Nothing when both are alike. */
export function compareStates(current: State, wanted: ReadonlyMap<string, Plain>): readonly Change[] {
  const changes: Change[] = [];
  // A folder without any policy says nothing about policies: nobody means to lock everybody out.
  const judges = [...wanted.keys()].some((name) => name.startsWith('policy/'));
  for (const name of new Set([...wanted.keys(), ...current.keys()])) {
    const slash = name.indexOf('/');
    const kind = name.slice(0, slash) as ObjectKind;
    const was = current.get(name);
    const will = wanted.get(name);
    const object = { kind, name: name.slice(slash + 1) };
    if (will && !was) changes.push({ ...object, change: 'create', lines: linesOf({}, will) });
    else if (will && was?.retired) changes.push({ ...object, change: 'restore', lines: linesOf(was.value, will) });
    else if (will && was && canonicalJson(will) !== canonicalJson(was.value)) changes.push({ ...object, change: 'update', lines: linesOf(was.value, will) });
    else if (!will && was && !was.retired && RETIRES.includes(kind) && (kind !== 'policy' || judges) && !isEmptyGroup(kind, was)) changes.push({ ...object, change: 'retire', lines: [] });
  }
  return changes.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || a.name.localeCompare(b.name));
}

/** Groups and folders stay as names for ever; retired, they are empty. */
function isEmptyGroup(kind: ObjectKind, { value }: Current): boolean {
  return kind === 'folder' || kind === 'group' && Array.isArray(value['members']) && value['members'].length === 0;
}

function linesOf(was: Plain, will: Plain): string[] {
  const fields = [...new Set([...Object.keys(was), ...Object.keys(will)])];
  return fields.flatMap((field) => {
    const [before, after] = [was[field], will[field]];
    if (before !== undefined && after !== undefined && canonicalJson(before) === canonicalJson(after)) return [];
    if (field === 'text') return textLines(typeof before === 'string' ? before : '', typeof after === 'string' ? after : '');
    return before === undefined ? [`${field}: ${short(after)}`] : changedWithin(field, before, after);
  });
}

/** One line for each value that differs, named by its way from the object: `config.port: 55433 -> 55434`. */
function changedWithin(at: string, before: Json | undefined, after: Json | undefined): string[] {
  if (before !== undefined && after !== undefined && canonicalJson(before) === canonicalJson(after)) return [];
  if (isObject(before) && isObject(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((field) => changedWithin(`${at}.${field}`, before[field], after[field]));
  }
  // Lists of objects (parts, stages) go by their order; lists of names read best as a whole.
  if (Array.isArray(before) && Array.isArray(after) && [...before, ...after].every(isObject)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, i) => i).flatMap((i) => changedWithin(`${at}.${i}`, before[i], after[i]));
  }
  return [`${at}: ${before === undefined ? 'nothing' : short(before)} -> ${after === undefined ? 'nothing' : short(after)}`];
}

const isObject = (value: Json | undefined): value is { readonly [field: string]: Json } => typeof value === 'object' && value !== null && !Array.isArray(value);

function short(value: Json | undefined): string {
  if (typeof value === 'string') return withoutPem(value);
  return JSON.stringify(value ?? null, (_, inner: unknown) => (typeof inner === 'string' ? withoutPem(inner) : inner));
}

/** Certificates are told apart by their SHA-256 of their DER, which other tools print as well. */
function withoutPem(text: string): string {
  const pem = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END/g;
  const prints = [...text.matchAll(pem)].map(([, what = '', body = '']) => `${what.toLowerCase()} SHA-256 ${createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex')}`);
  return prints.length === 0 ? text : `(${prints.join(', ')})`;
}

/** Lines that went and came: enough to see what a policy change does; the files have the rest. */
function textLines(before: string, after: string): string[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  const gone = old.filter((line) => line.trim() !== '' && !fresh.includes(line)).map((line) => `- ${line}`);
  const come = fresh.filter((line) => line.trim() !== '' && !old.includes(line)).map((line) => `+ ${line}`);
  return [...gone, ...come];
}

/** Names a state, so that what was planned against one is not applied to another. */
export function stateHash(state: State): string {
  const plain = Object.fromEntries([...state].map(([name, { value, retired }]) => [name, { value, retired }]));
  return createHash('sha256').update(canonicalJson(plain)).digest('hex').slice(0, 32);
}
