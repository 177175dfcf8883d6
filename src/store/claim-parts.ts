import type { ClaimedPart, ClaimOptions } from '#app/ports/store.ts';
import { PART, type PartRow } from './rows.ts';
import type { Sql } from './sql.ts';

/** Key of the advisory locks that order claims: this class, and the lane's number. */
const CLAIMS = 0x62727674;
const LANES = { provision: 1, withdraw: 2 } as const;

/**
 * Takes due work, a part from each target in turn, so that ten thousand removals on one target delay no other target's.
 *
 * Claims of one kind of work go one after another over all nodes: only then is the number of claims on a target exact.
 * A claim takes milliseconds and never waits for a row (`skip locked`), so it holds nobody up; it belongs in a
 * transaction of its own.
 */
export async function claimParts(sql: Sql, { work, now, limit, perTarget, claimMs, except = [] }: ClaimOptions): Promise<readonly ClaimedPart[]> {
  await sql.run('select pg_advisory_xact_lock($1, $2)', [CLAIMS, LANES[work]]);
  const rows = await sql.rows<PartRow & { sealedSecret: Uint8Array | null }>(CLAIM, [
    work, now, limit, perTarget, new Date(now.getTime() + claimMs), except,
  ]);
  return rows.map(({ sealedSecret, ...part }) => ({ part, sealedSecret }));
}

/**
 * Targets are found by hopping through the index from one to the next, whatever the number of parts that wait on each.
 * What the last step finds locked was just taken away by somebody else (a revoke), and comes again. `coalesce` keeps it from
 * the index over all that waits: it has the ids.
 */
const CLAIM = `
  with recursive lanes as (
    (select target_id from brevet.grant_parts where work = $1 order by target_id limit 1)
    union all
    select (select p.target_id from brevet.grant_parts p where p.work = $1 and p.target_id > lanes.target_id order by p.target_id limit 1)
      from lanes where lanes.target_id is not null
  ), open as (
    select t.id as target_id,
           $4::bigint - (select count(*) from brevet.grant_parts p where p.work = $1 and p.target_id = t.id and p.claimed_until > $2) as room
      from lanes join brevet.targets t on t.id = lanes.target_id
     where t.unreachable_since is null and t.id <> all($6::text[])
  ), waiting as (
    select w.id, w.due_at, row_number() over (partition by open.target_id order by w.due_at) as turn
      from open cross join lateral (
             select p.id, p.due_at from brevet.grant_parts p
              where p.work = $1 and p.target_id = open.target_id and p.due_at <= $2 and (p.claimed_until is null or p.claimed_until <= $2)
              order by p.due_at limit least(open.room, $3::bigint)) w
     where open.room > 0
  ), chosen as (
    select id from waiting order by turn, due_at limit $3
  ), locked as (
    select p.id from brevet.grant_parts p
     where p.id = any(array(select id from chosen))
       and coalesce(p.work, '') = $1 and p.due_at <= $2 and (p.claimed_until is null or p.claimed_until <= $2)
       for no key update skip locked
  )
  update brevet.grant_parts set fence = fence + 1, claimed_until = $5
   where id = any(array(select id from locked))
  returning ${PART}, secret as "sealedSecret"`;
