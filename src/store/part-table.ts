import type { PartTable } from '#app/ports/store.ts';
import type { GrantPart } from '#domain/grant.ts';
import type { PartId, TargetId } from '#domain/id.ts';
import { claimParts } from './claim-parts.ts';
import { PART, type PartRow } from './rows.ts';
import type { Sql } from './sql.ts';

/** Longer messages of a target's driver are cut: they are for a person to read. */
const LONGEST_ERROR = 2_000;

export function partTable(sql: Sql): PartTable {
  return {
    insert: (part) => insert(sql, part),
    byId: (id) => sql.row<PartRow>(`select ${PART} from brevet.grant_parts where id = $1`, [id]),
    ofGrant: (id) => sql.rows<PartRow>(`select ${PART} from brevet.grant_parts where grant_id = $1 order by ordinal`, [id]),
    ofGrants: async (ids) => Map.groupBy(
      await sql.rows<PartRow>(`select ${PART} from brevet.grant_parts where grant_id = any($1) order by grant_id, ordinal`, [ids]), (part) => part.grant),
    sealedSecret: async (id) =>
      (await sql.row<{ secret: Uint8Array | null }>('select secret from brevet.grant_parts where id = $1', [id]))?.secret ?? null,
    claim: (options) => claimParts(sql, options),
    keepClaims: async (claims, until) => {
      // What is locked is being decided on, and comes again with the next beat.
      await sql.run(
        `update brevet.grant_parts set claimed_until = $3 where id = any(array(
           select p.id from brevet.grant_parts p join unnest($1::text[], $2::bigint[]) as kept (id, fence) on kept.id = p.id and kept.fence = p.fence
            where p.claimed_until is not null order by p.id for no key update of p skip locked))`,
        [claims.map(({ id }) => id), claims.map(({ fence }) => fence), until]);
    },
    holds: async (id, fence, work) =>
      (await sql.row('select from brevet.grant_parts where id = $1 and fence = $2 and work = $3', [id, fence, work])) !== null,
    ...fencedWrites(sql),
    due: async (id, work, at) => {
      // A removal is never turned back into provisioning. Whoever works on the part just now works on what was: its claim
      // is lifted, and the next one raises the fence above it.
      await sql.run(
        `update brevet.grant_parts set work = $2, due_at = $3, claimed_until = null, attempts = 0
          where id = $1 and state <> 'absent' and (work is distinct from 'withdraw' or $2 = 'withdraw')`, [id, work, at]);
    },
    wakeTarget: (id, at) => sql.run(
      'update brevet.grant_parts set due_at = $2 where target_id = $1 and work is not null and due_at > $2', [id, at]),
    wakeStranded: (furthest, now) => sql.run(
      `update brevet.grant_parts set due_at = least(due_at, $2), claimed_until = case when claimed_until <= $1 then claimed_until end
        where id = any(array(select id from brevet.grant_parts where work is not null and (due_at > $1 or claimed_until > $1)
                              order by id for no key update skip locked))`, [furthest, now]),
    targetsToProbe: async () => (await sql.rows<{ id: TargetId }>(
      `select id from brevet.targets t
        where (checked_at is null or unreachable_since is not null)
          and exists (select from brevet.grant_parts p where p.target_id = t.id and p.state <> 'absent')
        order by checked_at nulls first`)).map(({ id }) => id),
    liveObjects: async (names) => new Set((await sql.rows<{ name: string }>(
      `select object_name as name from brevet.grant_parts where object_name = any($1) and state <> 'absent'`, [names])).map(({ name }) => name)),
    sharing: (targets, account) => sql.rows<PartRow>(
      `select ${PART} from brevet.grant_parts
        where target_id = any($1) and state <> 'absent' and kind = 'brokered_session' and account = $2 order by id`, [targets, account]),
  };
}

async function insert(sql: Sql, p: GrantPart): Promise<void> {
  await sql.run(
    `insert into brevet.grant_parts (id, grant_id, ordinal, target_id, kind, scope, object_name, account, state, deadline, prior,
       evidence, work, due_at, fence, attempts, last_error)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
    [p.id, p.grant, p.ordinal, p.target, p.kind, JSON.stringify(p.scope), p.objectName, p.account, p.state, p.deadline,
      p.prior && JSON.stringify(p.prior), p.evidence && JSON.stringify(p.evidence), p.work, p.dueAt, p.fence, p.attempts, p.lastError]);
}

/** Each answers whether the fence was still the highest, and writes nothing otherwise. */
function fencedWrites(sql: Sql): Pick<PartTable, 'plan' | 'present' | 'absent' | 'retry'> {
  const write = async (sets: string, where: string, id: PartId, fence: number, ...values: unknown[]) =>
    (await sql.run(`update brevet.grant_parts set ${sets} where id = $1 and fence = $2 and ${where}`, [id, fence, ...values])) === 1;
  const DONE = 'work = null, due_at = null, claimed_until = null, attempts = 0';
  return {
    // What stood before is recorded once: a second look, after a crash, would see our own change.
    plan: (id, fence, { prior, deadline, state }) => write(
      'prior = coalesce(prior, $3), deadline = coalesce($4, deadline), state = coalesce($5, state)', `work is not null and state <> 'absent'`,
      id, fence, prior === undefined ? null : JSON.stringify(prior), deadline ?? null, state ?? null),
    // Without a new secret the one from before stays: an extension changes no password.
    present: (id, fence, evidence, secret) => write(
      `state = 'present', evidence = $3, secret = coalesce($4, secret), last_error = null, ${DONE}`, `work = 'provision'`, id, fence, JSON.stringify(evidence), secret),
    // Why it never became real stays to be read, unless an error of the removal has taken its place.
    absent: (id, fence, evidence) => write(
      `state = 'absent', evidence = $3, secret = null, last_error = case when attempts = 0 then last_error end, ${DONE}`, `work = 'withdraw'`, id, fence, JSON.stringify(evidence)),
    retry: (id, fence, dueAt, error, evidence) => write(
      'due_at = $3, last_error = $4, evidence = coalesce($5, evidence), claimed_until = null, attempts = attempts + 1', 'work is not null',
      id, fence, dueAt, error.slice(0, LONGEST_ERROR), evidence === undefined ? null : JSON.stringify(evidence)),
  };
}
