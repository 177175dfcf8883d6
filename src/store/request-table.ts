import type { Page, RequestFilter, RequestTable } from '#app/ports/store.ts';
import type { RequestId } from '#domain/id.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';
import { REQUEST, requestOf, type RequestRow, REVIEW, reviewOf, type ReviewRow } from './rows.ts';
import { Conditions, pageConcerning, type Sql } from './sql.ts';

export function requestTable(sql: Sql): RequestTable {
  const one = async (text: string, values: readonly unknown[]) => {
    const row = await sql.row<RequestRow>(text, values);
    return row && requestOf(row);
  };
  return {
    insert: (request) => insert(sql, request),
    byId: (id) => one(`select ${REQUEST} from brevet.requests where id = $1`, [id]),
    withIds: async (ids) => (await sql.rows<RequestRow>(`select ${REQUEST} from brevet.requests where id = any($1)`, [ids])).map(requestOf),
    lock: (id) => one(`select ${REQUEST} from brevet.requests where id = $1 for no key update`, [id]),
    // A trigger lets only pending requests be decided.
    decide: async (id, state, at, reason) => {
      await sql.run('update brevet.requests set state = $2, decided_at = $3, decision_reason = $4 where id = $1', [id, state, at, reason]);
    },
    list: (filter, page) => list(sql, filter, page),
    pending: async (after, limit) => (await sql.rows<RequestRow>(
      `select ${REQUEST} from brevet.requests where state = 'pending' and id > $1 order by id limit $2`, [after ?? '', limit])).map(requestOf),
    lockExpired: async (now, limit, except = []) => (await sql.rows<RequestRow>(
      `select ${REQUEST} from brevet.requests where state = 'pending' and expires_at <= $1 and id <> all($3)
        order by expires_at limit $2 for no key update skip locked`, [now, limit, except])).map(requestOf),
    countPending: async (principal) => (await sql.row<{ n: number }>(
      `select count(*)::integer as n from brevet.requests where principal_id = $1 and state = 'pending'`, [principal]))?.n ?? 0,
    // Only its holder extends a grant, and their requests have an index.
    extending: async (grant) => (await sql.rows<{ id: RequestId }>(
      'select id from brevet.requests where principal_id = $1 and extends_grant_id = $2', [grant.principal, grant.id])).map(({ id }) => id),
    reviews: async (id) => (await sql.rows<ReviewRow>(
      `select ${REVIEW} from brevet.reviews where request_id = $1 order by created_at, id`, [id])).map(reviewOf),
    reviewsOf: async (ids) => Map.groupBy((await sql.rows<ReviewRow>(
      `select ${REVIEW} from brevet.reviews where request_id = any($1) order by created_at, id`, [ids])).map(reviewOf), (review) => review.request),
    insertReview: (review) => insertReview(sql, review),
  };
}

async function insert(sql: Sql, r: AccessRequest): Promise<void> {
  await sql.run(
    `insert into brevet.requests (id, state, principal_id, on_behalf_of_id, entitlement_id, entitlement, extends_grant_id, reason,
       ticket, duration_seconds, start_at, created_at, expires_at, policy_version, verdict, hash, decided_at, decision_reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
    [r.id, r.state, r.principal, r.onBehalfOf, r.entitlementId, JSON.stringify(r.entitlement), r.extendsGrant, r.reason,
      r.ticket, r.durationSeconds, r.startAt, r.createdAt, r.expiresAt, r.policyVersion, JSON.stringify(r.verdict), r.hash,
      r.decidedAt, r.decisionReason]);
}

async function insertReview(sql: Sql, r: Review): Promise<void> {
  await sql.run(
    `insert into brevet.reviews (id, request_id, request_hash, stage, reviewer_id, decision, reason, narrowed, authentication, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [r.id, r.request, r.requestHash, r.stage, r.reviewer, r.decision, r.reason, r.narrowed && JSON.stringify(r.narrowed),
      JSON.stringify(r.authentication), r.createdAt]);
}

async function list(sql: Sql, filter: RequestFilter, page: Page): Promise<readonly AccessRequest[]> {
  const where = new Conditions()
    .add('principal_id = $', filter.principal)
    .add('state = $', filter.state)
    .add('entitlement_id = $', filter.entitlement)
    .add('id < $', page.before ?? undefined);
  const limit = where.parameter(page.limit);
  const rows = await sql.rows<RequestRow>(filter.concerning === undefined
    ? `select ${REQUEST} from brevet.requests where ${where} order by id desc limit ${limit}`
    : `select ${REQUEST} from brevet.requests where id in (${pageConcerning('brevet.requests', filter.concerning, where, limit)}) order by id desc`, where.values);
  return rows.map(requestOf);
}
