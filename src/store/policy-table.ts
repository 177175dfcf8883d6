import type { PolicySet } from '#app/ports/policy.ts';
import type { PolicyTable } from '#app/ports/store.ts';
import type { PrincipalId } from '#domain/id.ts';
import type { Sql } from './sql.ts';

export function policyTable(sql: Sql): PolicyTable {
  return {
    current: () => sql.row<PolicySet & { publishedBy: PrincipalId | null }>(
      'select version, sources, published_by as "publishedBy" from brevet.policy_versions order by version desc limit 1'),
    version: (version) => sql.row<PolicySet>('select version, sources from brevet.policy_versions where version = $1', [version]),
    publish: async (version, sources, by, at) => {
      await sql.run('insert into brevet.policy_versions (version, sources, published_by, published_at) values ($1, $2, $3, $4)', [
        version, JSON.stringify(sources), by, at,
      ]);
    },
  };
}
