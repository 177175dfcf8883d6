import type { PartTable } from '#app/ports/store.ts';
import type { GrantPart } from '#domain/grant.ts';
import type { PartId } from '#domain/id.ts';
import { claimParts } from './claim.ts';
import type { PartRow } from './memory.ts';
import { byInstant, byText, least } from './ordering.ts';
import type { Transaction } from './transaction.ts';

export function partTable(tx: Transaction): PartTable {
  const { parts, targets } = tx.tables;
  const keyOf = (row: PartRow) => row.part.id;
  return {
    insert: (part) => tx.run('parts.insert', () => tx.insert(parts, part.id, { part, secret: null, claimedUntil: null, settled: false })),
    byId: (id) => tx.run('parts.byId', () => tx.get(parts, id)?.part ?? null),
    ofGrant: (id) => tx.run('parts.ofGrant', () => tx.all(parts).map(({ part }) => part).filter((part) => part.grant === id).sort((a, b) => a.ordinal - b.ordinal)),
    ofGrants: (ids) => tx.run('parts.ofGrants', () => Map.groupBy(
      tx.all(parts).map(({ part }) => part).filter((part) => ids.includes(part.grant)).sort((a, b) => byText((part: GrantPart) => part.grant)(a, b) || a.ordinal - b.ordinal), (part) => part.grant)),
    sealedSecret: (id) => tx.run('parts.sealedSecret', () => tx.get(parts, id)?.secret ?? null),
    claim: (options) => tx.run('parts.claim', () => claimParts(tx, options)),
    keepClaims: (claims, until) => tx.run('parts.keepClaims', () => {
      for (const { id, fence } of [...claims].sort(byText((claim) => claim.id))) {
        const held = (row: PartRow | null) => row !== null && row.part.fence === fence && row.claimedUntil !== null;
        if (!held(tx.get(parts, id)) || !tx.tryLock(parts, id)) continue;
        const row = tx.get(parts, id);
        if (row && held(row)) tx.put(parts, id, { ...row, claimedUntil: until });
      }
    }),
    holds: (id, fence, work) => tx.run('parts.holds', () => {
      const part = tx.get(parts, id)?.part;
      return part?.fence === fence && part.work === work;
    }),
    ...fencedWrites(tx),
    due: (id, work, at) => tx.run('parts.due', async () => {
      await tx.update(parts, tx.live(parts), keyOf, ({ part }) => part.id === id && part.state !== 'absent' && (part.work !== 'withdraw' || work === 'withdraw'),
        (row) => ({ ...row, claimedUntil: null, part: { ...row.part, work, dueAt: at, attempts: 0 } }));
    }),
    wakeTarget: (id, at) => tx.run('parts.wakeTarget', async () => (await tx.update(parts, tx.live(parts), keyOf,
      ({ part }) => part.target === id && part.work !== null && part.dueAt !== null && part.dueAt > at, (row) => ({ ...row, part: { ...row.part, dueAt: at } }))).length),
    wakeStranded: (furthest, now) => tx.run('parts.wakeStranded', () => {
      const stranded = ({ part, claimedUntil }: PartRow) => part.work !== null && part.dueAt !== null && (part.dueAt > furthest || (claimedUntil !== null && claimedUntil > furthest));
      let woken = 0;
      for (const { part: { id } } of tx.live(parts).filter(stranded)) {
        const row = tx.tryLock(parts, id) ? tx.get(parts, id) : null;
        if (!row || !stranded(row)) continue;
        tx.put(parts, id, { ...row, claimedUntil: row.claimedUntil !== null && row.claimedUntil <= furthest ? row.claimedUntil : null, part: { ...row.part, dueAt: least([row.part.dueAt, now]) } });
        woken += 1;
      }
      return woken;
    }),
    targetsToProbe: () => tx.run('parts.targetsToProbe', () => tx.all(targets)
      .filter(({ health }) => health.checkedAt === null || health.unreachableSince !== null)
      .filter(({ target }) => tx.live(parts).some(({ part }) => part.target === target.id && part.state !== 'absent'))
      .sort(byInstant(({ health }) => health.checkedAt ?? new Date(0)))
      .map(({ target }) => target.id)),
    liveObjects: (names) => tx.run('parts.liveObjects', () => new Set(tx.live(parts).map(({ part }) => part).filter((part) => part.state !== 'absent' && names.includes(part.objectName)).map((part) => part.objectName))),
    sharing: (targetIds, account) => tx.run('parts.sharing', () => tx.live(parts).map(({ part }) => part)
      .filter((part) => targetIds.includes(part.target) && part.state !== 'absent' && part.kind === 'brokered_session' && part.account === account)
      .sort(byText((part) => part.id))),
  };
}

/** Each answers whether the fence was still the highest, and writes nothing otherwise. */
function fencedWrites(tx: Transaction): Pick<PartTable, 'plan' | 'present' | 'absent' | 'retry'> {
  const { parts } = tx.tables;
  const DONE = { work: null, dueAt: null, attempts: 0 };
  const write = (what: string, id: PartId, fence: number, where: (part: GrantPart) => boolean, change: (row: PartRow) => PartRow) =>
    tx.run(what, async () => (await tx.update(parts, [tx.get(parts, id)].filter((row) => row !== null), (row) => row.part.id, ({ part }) => part.fence === fence && where(part), change)).length === 1);
  return {
    plan: (id, fence, { prior, deadline, state }) => write('parts.plan', id, fence, (part) => part.work !== null && part.state !== 'absent',
      (row) => ({ ...row, part: { ...row.part, prior: row.part.prior ?? prior ?? null, deadline: deadline ?? row.part.deadline, state: state ?? row.part.state } })),
    present: (id, fence, evidence, secret) => write('parts.present', id, fence, (part) => part.work === 'provision',
      (row) => ({ ...row, claimedUntil: null, secret: secret ?? row.secret, part: { ...row.part, ...DONE, lastError: null, state: 'present', evidence } })),
    absent: (id, fence, evidence) => write('parts.absent', id, fence, (part) => part.work === 'withdraw',
      (row) => ({ ...row, claimedUntil: null, secret: null, part: { ...row.part, ...DONE, lastError: row.part.attempts === 0 ? row.part.lastError : null, state: 'absent', evidence } })),
    retry: (id, fence, dueAt, error, evidence) => write('parts.retry', id, fence, (part) => part.work !== null,
      (row) => ({ ...row, claimedUntil: null, part: { ...row.part, dueAt, evidence: evidence ?? row.part.evidence, lastError: error.slice(0, 2_000), attempts: row.part.attempts + 1 } })),
  };
}
