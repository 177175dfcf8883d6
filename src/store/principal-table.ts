import type { PrincipalId } from '#domain/id.ts';
import type { Secrets } from '#app/ports/secrets.ts';
import type { PrincipalTable } from '#app/ports/store.ts';
import type { Membership, Principal } from '#domain/principal.ts';
import { erasure } from './erasure.ts';
import { PRINCIPAL, type PrincipalRow } from './rows.ts';
import type { Sql } from './sql.ts';

export function principalTable(sql: Sql, now: Date, { secrets }: { secrets: Pick<Secrets, 'newSubjectKey'> }): PrincipalTable {
  return {
    byId: (id) => sql.row<PrincipalRow>(`select ${PRINCIPAL} from brevet.principals where id = $1`, [id]),
    withIds: (ids) => sql.rows<PrincipalRow>(`select ${PRINCIPAL} from brevet.principals where id = any($1)`, [ids]),
    lock: (id) => sql.row<PrincipalRow>(`select ${PRINCIPAL} from brevet.principals where id = $1 for no key update`, [id]),
    byName: (name) => sql.row<PrincipalRow>(`select ${PRINCIPAL} from brevet.principals where name = $1`, [name]),
    all: () => sql.rows<PrincipalRow>(`select ${PRINCIPAL} from brevet.principals order by name`),
    page: ({ after, limit }) => sql.rows<PrincipalRow>(
      `select ${PRINCIPAL} from brevet.principals where name > $1 order by name limit $2`, [after ?? '', limit]),
    ownedBy: (person) => sql.rows<PrincipalRow>(`select ${PRINCIPAL} from brevet.principals where owner_id = $1 order by name`, [person]),
    insert: async (principal) => {
      await insert(sql, principal, now);
      await sql.run('insert into brevet.subject_keys (principal_id, sealed) values ($1, $2)', [
        principal.id, secrets.newSubjectKey(principal.id),
      ]);
    },
    update: async (p) => {
      await sql.run(
        `update brevet.principals set name = $2, display_name = $3, owner_id = $4, administrator = $5, disabled_at = $6 where id = $1`,
        [p.id, p.name, p.displayName, p.owner, p.administrator, p.disabledAt],
      );
    },
    memberships: (id) => sql.rows<Membership>(
      `select m.group_id as "group", g.name as "groupName", m.since
         from brevet.group_members m join brevet.groups g on g.id = m.group_id
        where m.principal_id = $1 order by g.name`, [id]),
    membershipsOf: async (ids) => {
      const rows = await sql.rows<Membership & { of: PrincipalId }>(
        `select m.principal_id as of, m.group_id as "group", g.name as "groupName", m.since
           from brevet.group_members m join brevet.groups g on g.id = m.group_id
          where m.principal_id = any($1) order by g.name`, [ids]);
      return new Map([...Map.groupBy(rows, (row) => row.of)].map(([of, all]) => [of, all.map(({ group, groupName, since }) => ({ group, groupName, since }))]));
    },
    password: (id) => sql.row<{ hash: string; issuedBy: PrincipalId | null }>(
      'select password_hash as hash, password_issued_by as "issuedBy" from brevet.principals where id = $1 and password_hash is not null', [id]),
    setPassword: async (id, hash, issuedBy) => {
      await sql.run('update brevet.principals set password_hash = $2, password_issued_by = $3 where id = $1', [id, hash, issuedBy]);
    },
    ...erasure(sql, now),
  };
}

async function insert(sql: Sql, p: Principal, now: Date): Promise<void> {
  await sql.run(
    `insert into brevet.principals (id, kind, name, display_name, owner_id, administrator, disabled_at, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [p.id, p.kind, p.name, p.displayName, p.owner, p.administrator, p.disabledAt, now],
  );
}
