import type { CatalogueTable, Folder, Group, TargetHealth } from '#app/ports/store.ts';
import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { GroupId, PrincipalId, TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { ENTITLEMENT, entitlementOf, type EntitlementRow, TARGET, type TargetRow, termsJson } from './rows.ts';
import type { Sql } from './sql.ts';

/** Advisory lock of whoever applies a configuration. Not the tables: health is written to them all the time. */
const CATALOGUE = 0x6361746c;

export function catalogueTable(sql: Sql, now: Date): CatalogueTable {
  const entitlement = async (where: string, value: string) => {
    const row = await sql.row<EntitlementRow>(`select ${ENTITLEMENT} from brevet.entitlements where ${where} = $1`, [value]);
    return row && entitlementOf(row);
  };
  return {
    lockAll: async () => {
      await sql.run('select pg_advisory_xact_lock($1)', [CATALOGUE]);
    },
    groups: () => sql.rows<Group>('select id, name, title from brevet.groups order by name'),
    saveGroup: (group) => saveGroup(sql, group),
    members: (group) => sql.rows<{ principal: PrincipalId; since: Date }>(
      'select principal_id as principal, since from brevet.group_members where group_id = $1 order by principal_id', [group]),
    setMembers: (group, members, at) => setMembers(sql, group, members, at),
    folders: () => sql.rows<Folder>('select id, name, title, administrators_id as administrators from brevet.folders order by name'),
    saveFolder: (folder) => saveFolder(sql, folder),
    targets: () => sql.rows<TargetRow>(`select ${TARGET} from brevet.targets order by name`),
    targetPage: ({ after, limit }) => sql.rows<TargetRow>(
      `select ${TARGET} from brevet.targets where name > $1 order by name limit $2`, [after ?? '', limit]),
    targetsWithIds: (ids) => sql.rows<TargetRow>(`select ${TARGET} from brevet.targets where id = any($1)`, [ids]),
    target: (id) => sql.row<TargetRow>(`select ${TARGET} from brevet.targets where id = $1`, [id]),
    targetByName: (name) => sql.row<TargetRow>(`select ${TARGET} from brevet.targets where name = $1`, [name]),
    saveTarget: (target) => saveTarget(sql, target, now),
    credential: async (id) =>
      (await sql.row<{ credential: Uint8Array | null }>('select credential from brevet.targets where id = $1', [id]))?.credential ?? null,
    setCredential: async (id, sealed) => {
      await sql.run('update brevet.targets set credential = $2 where id = $1', [id, sealed]);
    },
    health: (id) => sql.row<TargetHealth & { checkedAt: Date | null }>(
      `select checked_at as "checkedAt", unreachable_since as "unreachableSince", problem, skew_ms as "skewMs", version,
              swept_at as "sweptAt"
         from brevet.targets where id = $1`, [id]),
    healthOf: async (ids) => new Map((await sql.rows<TargetHealth & { id: TargetId; hasCredential: boolean }>(
      `select id, checked_at as "checkedAt", unreachable_since as "unreachableSince", problem, skew_ms as "skewMs", version,
              swept_at as "sweptAt", credential is not null as "hasCredential"
         from brevet.targets where id = any($1)`, [ids])).map(({ id, ...health }) => [id, health])),
    setHealth: (id, health) => setHealth(sql, id, health),
    claimSweeps: async (before) => (await sql.rows<{ id: TargetId }>(
      `update brevet.targets set swept_at = $2 where id = any(array(
         select id from brevet.targets
          where (swept_at is null or swept_at <= $1 or swept_at > $2::timestamptz + ($2::timestamptz - $1::timestamptz)) and unreachable_since is null and credential is not null
          order by id for no key update skip locked)) returning id`, [before, now])).map(({ id }) => id),
    entitlements: async () =>
      (await sql.rows<EntitlementRow>(`select ${ENTITLEMENT} from brevet.entitlements order by name`)).map(entitlementOf),
    entitlementPage: async ({ after, limit }) => (await sql.rows<EntitlementRow>(
      `select ${ENTITLEMENT} from brevet.entitlements where retired_at is null and name > $1 order by name limit $2`, [after ?? '', limit])).map(entitlementOf),
    entitlement: (id) => entitlement('id', id),
    entitlementByName: (name) => entitlement('name', name),
    saveEntitlement: (each) => saveEntitlement(sql, each),
  };
}

async function saveGroup(sql: Sql, { id, name, title }: Group): Promise<void> {
  await sql.run(
    `insert into brevet.groups (id, name, title) values ($1, $2, $3)
     on conflict (id) do update set name = excluded.name, title = excluded.title`, [id, name, title]);
}

async function setMembers(sql: Sql, group: GroupId, members: readonly PrincipalId[], at: Date): Promise<void> {
  await sql.run('delete from brevet.group_members where group_id = $1 and principal_id <> all($2)', [group, members]);
  await sql.run(
    `insert into brevet.group_members (group_id, principal_id, since) select $1, unnest($2::text[]), $3
     on conflict do nothing`, [group, members, at]);
}

async function saveFolder(sql: Sql, { id, name, title, administrators }: Folder): Promise<void> {
  await sql.run(
    `insert into brevet.folders (id, name, title, administrators_id) values ($1, $2, $3, $4)
     on conflict (id) do update set name = excluded.name, title = excluded.title, administrators_id = excluded.administrators_id`,
    [id, name, title, administrators]);
}

/** What was read of a target's clock counts no more when the target is to be found elsewhere. */
async function saveTarget(sql: Sql, target: Target, now: Date): Promise<void> {
  await sql.run(
    `insert into brevet.targets as t (id, name, type, folder_id, config, retired_at, created_at) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (id) do update set name = excluded.name, type = excluded.type, folder_id = excluded.folder_id,
                                    config = excluded.config, retired_at = excluded.retired_at,
                                    skew_ms = case when t.config = excluded.config then t.skew_ms end`,
    [target.id, target.name, target.type, target.folder, JSON.stringify(target.config), target.retiredAt, now]);
}

const HEALTH_COLUMNS: { readonly [Member in keyof TargetHealth]: string } = {
  checkedAt: 'checked_at',
  unreachableSince: 'unreachable_since',
  problem: 'problem',
  skewMs: 'skew_ms',
  version: 'version',
  sweptAt: 'swept_at',
};

async function setHealth(sql: Sql, id: TargetId, health: Partial<TargetHealth>): Promise<void> {
  const given = (Object.keys(HEALTH_COLUMNS) as (keyof TargetHealth)[]).filter((member) => health[member] !== undefined);
  if (given.length === 0) return;
  const sets = given.map((member, i) => `${HEALTH_COLUMNS[member]} = $${i + 2}`).join(', ');
  await sql.run(`update brevet.targets set ${sets} where id = $1`, [id, ...given.map((member) => health[member])]);
}

/** A revision is written once: of two who change the same entitlement at once, the second is told. */
async function saveEntitlement(sql: Sql, e: Entitlement): Promise<void> {
  const written = await sql.run(
    `insert into brevet.entitlements as e (id, name, title, folder_id, revision, terms, retired_at)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (id) do update set name = excluded.name, title = excluded.title, folder_id = excluded.folder_id,
                                    revision = excluded.revision, terms = excluded.terms, retired_at = excluded.retired_at
      where excluded.revision > e.revision
         or (excluded.revision, excluded.name, excluded.title, excluded.folder_id, excluded.terms, excluded.retired_at)
            is not distinct from (e.revision, e.name, e.title, e.folder_id, e.terms, e.retired_at)`,
    [e.id, e.name, e.title, e.folder, e.revision, termsJson(e), e.retiredAt]);
  if (written === 0) throw new Refusal('conflict', `entitlement ${e.name} was changed in between: it is past revision ${e.revision}`);
}
