import type { Pool } from 'pg';

export interface Standing {
  readonly count: number;
  /** Of whose entitlement's first part each holds an account. */
  readonly entitlement: string;
  /** The first deadline, in seconds from now. */
  readonly fromSeconds: number;
  /** Over how many seconds the deadlines are spread, evenly. */
  readonly overSeconds: number;
}

const LARGE = ['requests', 'grants', 'grant_parts'] as const;
const id = (prefix: string) => `'${prefix}_01' || lpad(n::text, 24, '0')`;

/**
 * Active grants put into the store by bulk, each with its approved request and a part that is present: what the store would hold
 * if they had been asked for. Written with triggers off, which takes a superuser. On the target there is nothing of them. Answers the
 * last deadline, in milliseconds by the store's clock.
 */
export async function standingGrants(pool: Pool, { count, entitlement, fromSeconds, overSeconds }: Standing): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query('begin; set local session_replication_role = replica; set local statement_timeout = 0');
    await client.query(
      `create temporary table scene on commit drop as
         select array(select id from brevet.principals where name like 'dev-%' order by name) as people, e.id as entitlement,
                jsonb_build_object('id', e.id, 'name', e.name, 'title', e.title, 'folder', e.folder_id, 'revision', e.revision, 'retiredAt', null) || e.terms as terms
           from brevet.entitlements e where e.name = '${entitlement}'`);
    await client.query(
      `insert into brevet.requests (id, state, principal_id, on_behalf_of_id, entitlement_id, entitlement, extends_grant_id, reason, ticket, duration_seconds,
         start_at, created_at, expires_at, policy_version, verdict, hash, decided_at, decision_reason)
       select ${id('req')}, 'approved', people[1 + n % cardinality(people)], null, entitlement, terms, null, 'reason ' || n, 'T-' || n, 3600, null, now(), now() + interval '1 day', 1,
              '{"allowed": true, "policyVersion": 1, "satisfied": [], "forbidden": [], "nearest": [], "failed": []}', encode(sha256(n::text::bytea), 'hex'), now(), null
         from scene cross join generate_series(1, $1::bigint) n`, [count]);
    await client.query(
      `insert into brevet.grants (id, request_id, principal_id, on_behalf_of_id, entitlement_id, entitlement, state, duration_seconds, created_at, start_at, activate_by, activated_at, deadline)
       select ${id('grt')}, ${id('req')}, people[1 + n % cardinality(people)], null, entitlement, terms, 'active', 3600, now(), now(), now() + interval '10 minutes', now(),
              date_trunc('milliseconds', clock_timestamp()) + $2 * interval '1 second' + (n - 1) * $3 / $1 * interval '1 second'
         from scene cross join generate_series(1, $1::float8::bigint) n`, [count, fromSeconds, overSeconds]);
    await client.query(
      `insert into brevet.grant_parts (id, grant_id, ordinal, target_id, kind, scope, object_name, state, evidence, fence, settled)
       select ${id('prt')}, ${id('grt')}, 0, terms #>> '{parts,0,target}', 'ephemeral_account', terms #> '{parts,0,scope}', 'brevet_01' || lpad(n::text, 24, '0'), 'present', '{}', 1, false
         from scene cross join generate_series(1, $1::bigint) n`, [count]);
    await client.query('commit');
  } finally {
    client.release();
  }
  await pool.query(`vacuum (analyze) ${LARGE.map((table) => `brevet.${table}`).join(', ')}`);
  const { rows } = await pool.query<{ ms: number }>("select extract(epoch from max(deadline))::float8 * 1000 as ms from brevet.grants where id like 'grt_01%'");
  return rows[0]?.ms ?? Number.NaN;
}
