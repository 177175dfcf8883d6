import type { ClaimedPart, ClaimOptions } from '#app/ports/store.ts';
import type { PartRow } from './memory.ts';
import { byInstant } from './ordering.ts';
import type { Transaction } from './transaction.ts';

/** What src/store/claim-parts.ts does: claims of one kind one after another, a part from each target in turn. */
export async function claimParts(tx: Transaction, { work, now, limit, perTarget, claimMs, except = [] }: ClaimOptions): Promise<readonly ClaimedPart[]> {
  await tx.hold(`claims/${work}`);
  const { parts, targets } = tx.tables;
  const free = ({ part, claimedUntil }: PartRow) => part.work === work && part.dueAt !== null && part.dueAt <= now && (claimedUntil === null || claimedUntil <= now);
  const lane = tx.live(parts).filter(({ part }) => part.work === work);
  const waiting: { row: PartRow; turn: number }[] = [];
  for (const target of [...new Set(lane.map(({ part }) => part.target))].sort()) {
    if (tx.get(targets, target)?.health.unreachableSince !== null || except.some((one) => one === target)) continue;
    const there = lane.filter(({ part }) => part.target === target);
    const room = perTarget - there.filter(({ claimedUntil }) => claimedUntil !== null && claimedUntil > now).length;
    const due = there.filter(free).sort(byInstant(({ part }) => part.dueAt));
    due.slice(0, Math.max(0, Math.min(room, limit))).forEach((row, turn) => waiting.push({ row, turn }));
  }
  waiting.sort((a, b) => a.turn - b.turn || byInstant(({ row }: typeof a) => row.part.dueAt)(a, b));
  const claimed: ClaimedPart[] = [];
  for (const { part: { id } } of waiting.slice(0, limit).map(({ row }) => row)) {
    if (!tx.tryLock(parts, id)) continue;
    const row = tx.get(parts, id);
    if (!row || !free(row)) continue;
    const next: PartRow = { ...row, claimedUntil: new Date(now.getTime() + claimMs), part: { ...row.part, fence: row.part.fence + 1 } };
    tx.put(parts, id, next);
    claimed.push({ part: next.part, sealedSecret: next.secret });
  }
  return claimed;
}
