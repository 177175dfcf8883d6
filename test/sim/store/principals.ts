import type { Secrets } from '#app/ports/secrets.ts';
import type { PrincipalTable } from '#app/ports/store.ts';
import type { PrincipalId } from '#domain/id.ts';
import { NAME } from '#domain/principal.ts';
import { violates } from './database-error.ts';
import { erasure } from './erasure.ts';
import { byText, pageAfter } from './ordering.ts';
import type { Transaction } from './transaction.ts';

export function principalTable(tx: Transaction, secrets: Pick<Secrets, 'newSubjectKey'>): PrincipalTable {
  const { principals, subjectKeys, members, groups } = tx.tables;
  const all = () => tx.all(principals).map((row) => row.principal).sort(byText(({ name }) => name));
  const membershipsOf = (id: PrincipalId) => tx.all(members)
    .filter((row) => row.principal === id)
    .map((row) => ({ group: row.group, groupName: tx.get(groups, row.group)?.name ?? '', since: row.since }))
    .sort(byText(({ groupName }) => groupName));
  return {
    byId: (id) => tx.run('principals.byId', () => tx.get(principals, id)?.principal ?? null),
    withIds: (ids) => tx.run('principals.withIds', () => all().filter(({ id }) => ids.includes(id))),
    lock: (id) => tx.run('principals.lock', async () => {
      await tx.lock(principals, id);
      return tx.get(principals, id)?.principal ?? null;
    }),
    byName: (name) => tx.run('principals.byName', () => all().find((one) => one.name === name) ?? null),
    all: () => tx.run('principals.all', all),
    page: (page) => tx.run('principals.page', () => pageAfter(all(), ({ name }) => name, page)),
    ownedBy: (person) => tx.run('principals.ownedBy', () => all().filter(({ owner }) => owner === person)),
    insert: (principal) => tx.run('principals.insert', async () => {
      if (!NAME.test(principal.name)) throw violates('principals_name_check', 'the name is none', '23514');
      await tx.insert(principals, principal.id, { principal, password: null, erasedAt: null });
      await tx.insert(subjectKeys, principal.id, { sealed: secrets.newSubjectKey(principal.id) });
    }),
    update: (principal) => tx.run('principals.update', async () => {
      await tx.update(principals, [tx.get(principals, principal.id)].filter((row) => row !== null), (row) => row.principal.id, () => true, (row) => ({ ...row, principal }));
    }),
    memberships: (id) => tx.run('principals.memberships', () => membershipsOf(id)),
    membershipsOf: (ids) => tx.run('principals.membershipsOf', () => new Map(ids.map((id) => [id, membershipsOf(id)] as const).filter(([, all]) => all.length > 0))),
    password: (id) => tx.run('principals.password', () => tx.get(principals, id)?.password ?? null),
    setPassword: (id, hash, issuedBy) => tx.run('principals.setPassword', async () => {
      await tx.upsert(principals, id, (row) => {
        if (row === null) throw violates('principals_pkey', 'no such principal', '23503');
        return { ...row, password: { hash, issuedBy } };
      });
    }),
    ...erasure(tx),
  };
}
