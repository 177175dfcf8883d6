/**
 * A store with years of history, put in by bulk: requests with a grant, a part and log entries each, sessions to every second,
 * as they would stand after their lives; and beside them little that lives, as in any store. Written with triggers off, which
 * takes a superuser; what it writes holds to the same rules.
 */
import type { Pool, PoolClient } from 'pg';

export interface History {
  /** Requests, and grants, altogether. */
  readonly grants: number;
  /** How many of them have not ended: the newest. Default: one in a thousand, and at least 100. */
  readonly live?: number;
  /** Requests that wait for their reviewers, besides. Default 200. */
  readonly pending?: number;
  /** Whether some of what lives is being taken away just now, which a reconciler would try to do. Default: yes. */
  readonly revoking?: boolean;
  /** Kept from being analysed in the background: what plans do right after a restore. */
  readonly unanalysed?: boolean;
}

/** The history's entries are numbered from here on, out of the way of the sequencer, whose tree knows nothing of them. */
export const FIRST_ENTRY = 1_000_000_000;

const LARGE = ['requests', 'grants', 'grant_parts', 'sessions', 'log_entries', 'certificates', 'connection_tokens', 'reviews'] as const;

/** Ids sort as they were numbered, and before any made today. */
const id = (prefix: string, n: string) => `'${prefix}_01' || lpad((${n})::text, 24, '0')`;
/** A fifth of everything is the first's: a busy workload, a busy target. The others share the rest. A seventh was asked for on behalf of the second. */
const shared = (of: string, n: string) => `${of}[case when (${n}) % 5 = 0 then 1 else 1 + (${n}) % cardinality(${of}) end]`;

/** Over the people, entitlements and targets that are there; an entitlement's first part is used. */
export async function fillStore(pool: Pool, history: History): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin; set local session_replication_role = replica; set local statement_timeout = 0');
    if (history.unanalysed) for (const table of LARGE) await client.query(`alter table brevet.${table} set (autovacuum_enabled = false)`);
    await askedFor(client, history);
    await held(client, history);
    await logged(client, history);
    await client.query('commit');
  } finally {
    client.release();
  }
  if (!history.unanalysed) await pool.query(`vacuum (analyze) ${LARGE.map((table) => `brevet.${table}`).join(', ')}`);
}

async function askedFor(client: PoolClient, { grants, pending = 200 }: History): Promise<void> {
  await client.query(
    `create temporary table scene on commit drop as
       select array(select id from brevet.principals order by name) as people,
              array(select id from brevet.entitlements order by name) as offers`);
  await client.query(
    `insert into brevet.requests (id, state, principal_id, on_behalf_of_id, entitlement_id, entitlement, extends_grant_id, reason, ticket, duration_seconds,
       start_at, created_at, expires_at, policy_version, verdict, hash, decided_at, decision_reason)
     select ${id('req', 'n')}, case when n > $1 then 'pending' else 'approved' end, ${shared('people', 'n')}, case when n % 7 = 0 then people[2] end, e.id,
            jsonb_build_object('id', e.id, 'name', e.name, 'title', e.title, 'folder', e.folder_id, 'revision', e.revision, 'retiredAt', null) || e.terms,
            null, 'reason ' || n, 'T-' || n, 3600, null, now() - ($1 - n) * interval '1 minute', now() + interval '1 day', 1,
            '{"allowed": true, "policyVersion": 1, "satisfied": [], "forbidden": [], "nearest": [], "failed": []}',
            encode(sha256(n::text::bytea), 'hex'), case when n <= $1 then now() end, null
       from scene cross join generate_series(1, $1::bigint + $2) n join brevet.entitlements e on e.id = ${shared('offers', 'n / 3')}`, [grants, pending]);
}

async function held(client: PoolClient, { grants, live = Math.max(100, Math.round(grants / 1000)), revoking = true }: History): Promise<void> {
  await client.query(
    `insert into brevet.grants (id, request_id, principal_id, on_behalf_of_id, entitlement_id, entitlement, state, duration_seconds, created_at, start_at, activate_by,
       activated_at, deadline, revoke_due_at, end_reason, ended_at, overdue_at)
     select ${id('grt', 'n')}, r.id, r.principal_id, r.on_behalf_of_id, r.entitlement_id, r.entitlement, s.state, 3600, r.created_at, case when s.state = 'scheduled' then now() + interval '1 day' else r.created_at end, r.created_at + interval '10 minutes',
            r.created_at, case when s.state <> 'scheduled' then r.created_at + interval '10 days' end, case when s.over then r.created_at + interval '1 hour' end,
            case when s.over then 'expired' end, case when s.state = 'ended' then r.created_at + interval '1 hour' end,
            case when s.state = 'revoking' and n % 3 = 0 then now() end
       from generate_series(1, $1::bigint) n join brevet.requests r on r.id = ${id('req', 'n')}
      cross join lateral (select case when n <= $1 - $2 then 'ended' else (array['active', 'active', 'active', case when $3 then 'revoking' else 'active' end, 'scheduled'])[1 + n % 5] end as state) given
      cross join lateral (select given.state, given.state in ('revoking', 'ended') as over) s`, [grants, live, revoking]);
  await client.query(
    `insert into brevet.grant_parts (id, grant_id, ordinal, target_id, kind, scope, object_name, state, evidence, work, due_at, fence, settled)
     select ${id('prt', 'n')}, g.id, 0, g.entitlement #>> '{parts,0,target}', 'ephemeral_account', g.entitlement #> '{parts,0,scope}', 'brevet_' || g.id,
            s.state, '{}', case when s.state = 'removing' then 'withdraw' end, case when s.state = 'removing' then now() end, 1, s.state = 'absent'
       from generate_series(1, $1::bigint) n join brevet.grants g on g.id = ${id('grt', 'n')}
      cross join lateral (select case g.state when 'ended' then 'absent' when 'revoking' then 'removing' when 'active' then 'present' else 'planned' end as state) s`, [grants]);
  await client.query(
    `insert into brevet.sessions (id, grant_id, part_id, principal_id, protocol, broker_id, state, opened_at, lease_until, client_address, ended_at, end_reason)
     select ${id('ses', 'n')}, g.id, ${id('prt', 'n')}, g.principal_id, 'postgresql', 'brk_1', s.state, g.created_at, case when s.state = 'ended' then g.created_at else now() + interval '1 day' end, '192.0.2.1',
            case when s.state = 'ended' then g.created_at end, case when s.state = 'ended' then 'client_closed' end
       from generate_series(2, $1::bigint, 2) n join brevet.grants g on g.id = ${id('grt', 'n')}
      cross join lateral (select case g.state when 'active' then 'active' else 'ended' end as state) s`, [grants]);
}

/** Three entries to a grant. What was issued for it is over as well. */
async function logged(client: PoolClient, { grants }: History): Promise<void> {
  await client.query(
    `insert into brevet.log_entries (id, at, type, body, grant_id, request_id, principal_id, index, leaf)
     select ${id('evt', 'n')}, now(), e.type, json_build_object('v', 1, 'type', e.type, 'actor', 'system', 'data', json_build_object('n', n))::text,
            case when e.type <> 'request.sent' then ${id('grt', '1 + n / 3')} end, case when e.type = 'request.sent' then ${id('req', '1 + n / 3')} end,
            case when e.type = 'principal.created' then ${shared('people', 'n')} end, ${FIRST_ENTRY} + n, sha256(n::text::bytea)
       from scene cross join generate_series(0, $1::bigint * 3 - 1) n
      cross join lateral (select case when n % 50000 = 17 then 'principal.created' else (array['request.sent', 'grant.active', 'grant.ended'])[1 + n % 3] end as type) e`, [grants]);
  await client.query(
    `insert into brevet.certificates (fingerprint, principal_id, created_at, not_after)
     select 'f' || n, ${shared('people', 'n')}, now() - interval '2 hours', now() + ($1 - n - 100) * interval '-1 second' from scene cross join generate_series(1, $1::bigint) n`, [grants]);
  await client.query(
    `insert into brevet.connection_tokens (handle, grant_id, principal_id, verifier, created_at, expires_at, consumed_at)
     select 't' || n, ${id('grt', 'n')}, ${shared('people', 'n')}, '{}', now() - interval '2 hours', now() + ($1 - n - 100) * interval '-1 second',
            case when n % 2 = 0 then now() - interval '1 hour' end
       from scene cross join generate_series(1, $1::bigint) n`, [grants]);
}
