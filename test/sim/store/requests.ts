import type { RequestTable } from '#app/ports/store.ts';
import type { RequestId } from '#domain/id.ts';
import type { AccessRequest } from '#domain/request.ts';
import { byInstant, isConcerned, newestFirst, pageAfter } from './ordering.ts';
import type { Transaction } from './transaction.ts';

export function requestTable(tx: Transaction): RequestTable {
  const { requests, reviews } = tx.tables;
  const reviewsOf = (ids: readonly RequestId[]) => tx.all(reviews)
    .filter((row) => ids.includes(row.request))
    .sort((a, b) => byInstant((row: typeof a) => row.createdAt)(a, b) || (a.id < b.id ? -1 : 1));
  return {
    insert: (request) => tx.run('requests.insert', () => tx.insert(requests, request.id, request)),
    byId: (id) => tx.run('requests.byId', () => tx.get(requests, id)),
    withIds: (ids) => tx.run('requests.withIds', () => tx.all(requests).filter((row) => ids.includes(row.id))),
    lock: (id) => tx.run('requests.lock', async () => {
      await tx.lock(requests, id);
      return tx.get(requests, id);
    }),
    decide: (id, state, decidedAt, decisionReason) => tx.run('requests.decide', async () => {
      await tx.update(requests, [tx.get(requests, id)].filter((row) => row !== null), (row) => row.id, () => true, (row) => ({ ...row, state, decidedAt, decisionReason }));
    }),
    list: (filter, page) => tx.run('requests.list', () => newestFirst(tx.all(requests).filter((row) =>
      (filter.principal === undefined || row.principal === filter.principal)
      && isConcerned(row, filter.concerning)
      && (filter.state === undefined || row.state === filter.state)
      && (filter.entitlement === undefined || row.entitlementId === filter.entitlement)), page)),
    pending: (after, limit) => tx.run('requests.pending', () => pageAfter(tx.live(requests).filter((row) => row.state === 'pending'), (row) => row.id, { after, limit })),
    lockExpired: (now, limit, except = []) => tx.run('requests.lockExpired', () => {
      const expired = tx.live(requests).filter((row) => row.state === 'pending' && row.expiresAt <= now && !except.includes(row.id)).sort(byInstant((row) => row.expiresAt));
      const held: AccessRequest[] = [];
      for (const { id } of expired) {
        if (held.length === limit || !tx.tryLock(requests, id)) continue;
        const row = tx.get(requests, id);
        if (row?.state === 'pending' && row.expiresAt <= now) held.push(row);
      }
      return held;
    }),
    countPending: (principal) => tx.run('requests.countPending', () => tx.live(requests).filter((row) => row.principal === principal && row.state === 'pending').length),
    extending: (grant) => tx.run('requests.extending', () => tx.all(requests).filter((row) => row.principal === grant.principal && row.extendsGrant === grant.id).map(({ id }) => id)),
    reviews: (id) => tx.run('requests.reviews', () => reviewsOf([id])),
    reviewsOf: (ids) => tx.run('requests.reviewsOf', () => Map.groupBy(reviewsOf(ids), (row) => row.request)),
    insertReview: (review) => tx.run('requests.insertReview', () => tx.insert(reviews, review.id, review)),
  };
}
