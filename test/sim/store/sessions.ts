import type { SessionFilter, SessionTable } from '#app/ports/store.ts';
import type { Session } from '#domain/grant.ts';
import { chainHash } from '#domain/recording-chain.ts';
import { Refusal } from '#domain/refusal.ts';
import { byInstant, byText, newestFirst } from './ordering.ts';
import type { Transaction } from './transaction.ts';

const isLive = (row: Session) => row.state !== 'ended';

export function sessionTable(tx: Transaction): SessionTable {
  const { sessions, grants } = tx.tables;
  const update = (where: (row: Session) => boolean, change: (row: Session) => Session) => tx.update(sessions, tx.live(sessions).sort(byText((row) => row.id)), (row) => row.id, where, change);
  return {
    insert: (session) => tx.run('sessions.insert', () => tx.insert(sessions, session.id, session)),
    byId: (id) => tx.run('sessions.byId', () => tx.get(sessions, id)),
    lock: (id) => tx.run('sessions.lock', async () => {
      await tx.lock(sessions, id);
      return tx.get(sessions, id);
    }),
    list: (filter, page) => tx.run('sessions.list', () => newestFirst((filter.live === true ? tx.live(sessions) : tx.all(sessions)).filter((row) => matches(tx, row, filter)), page)),
    countLive: (of) => tx.run('sessions.countLive', () => new Map([...Map.groupBy(tx.live(sessions).filter((row) => isLive(row) && of.includes(row.grant)), (row) => row.grant)].map(([grant, rows]) => [grant, rows.length]))),
    activate: (id, facts) => tx.run('sessions.activate', async () => (await update((row) => row.id === id && row.state === 'pending' && row.cutReason === null,
      (row) => ({ ...row, state: 'active', facts: { ...row.facts, ...facts } }))).length === 1),
    renew: (broker, ids, leaseMs) => tx.run('sessions.renew', async () => {
      const grantOf = (row: Session) => tx.get(grants, row.grant);
      const renewed = await update((row) => ids.includes(row.id) && row.broker === broker && isLive(row),
        (row) => ({ ...row, leaseUntil: new Date(tx.now.getTime() + leaseMs + (grantOf(row)?.entitlement.graceSeconds ?? 0) * 1000) }));
      await tx.trip('sessions.renew grants');
      return renewed.flatMap((session) => {
        const grant = grantOf(session);
        return grant ? [{ session, grant }] : [];
      });
    }),
    standing: (ids) => tx.run('sessions.standing', () => ids.flatMap((id) => {
      const row = tx.get(sessions, id);
      const grant = row && tx.get(grants, row.grant);
      return grant ? [{ session: row.id, cutReason: row.cutReason, grantState: grant.state, deadline: grant.deadline, ended: !isLive(row) }] : [];
    })),
    cut: (filter, reason) => tx.run('sessions.cut', async () => (await update((row) => isLive(row) && (filter.ids === undefined || filter.ids.includes(row.id)) && matches(tx, row, filter),
      (row) => ({ ...row, cutReason: row.cutReason ?? reason }))).map(({ id }) => id)),
    endAll: (ends, at) => tx.run('sessions.endAll', () => {
      const endOf = new Map(ends.map((end) => [end.id, end]));
      return update((row) => endOf.has(row.id) && isLive(row), (row) => ({
        ...row, state: 'ended', endedAt: at, endReason: endOf.get(row.id)?.reason ?? null, statements: endOf.get(row.id)?.statements ?? 0,
        bytesIn: endOf.get(row.id)?.bytesIn ?? 0, bytesOut: endOf.get(row.id)?.bytesOut ?? 0, recordingRoot: chunksOf(tx, row.id).at(-1)?.hash ?? null,
      }));
    }),
    letLapse: (grant, part, until) => tx.run('sessions.letLapse', async () => {
      await update((row) => row.grant === grant && row.part === part && isLive(row), (row) => ({ ...row, leaseUntil: row.leaseUntil < until ? row.leaseUntil : until }));
    }),
    lockLost: (before, limit, except = []) => tx.run('sessions.lockLost', () => {
      const lost = (row: Session) => isLive(row) && row.leaseUntil < before;
      const held: Session[] = [];
      for (const { id } of tx.live(sessions).filter((row) => lost(row) && !except.includes(row.id)).sort(byInstant((row) => row.leaseUntil))) {
        if (held.length === limit || !tx.tryLock(sessions, id)) continue;
        const row = tx.get(sessions, id);
        if (row && lost(row)) held.push(row);
      }
      return held;
    }),
    appendChunk: (id, seq, sealed, plainHash, events, at) => appendChunk(tx, { id, seq, sealed, plainHash, events, at }),
    chunks: (id, from, limit) => tx.run('sessions.chunks', () => chunksOf(tx, id).filter((row) => row.seq >= from).slice(0, limit)),
  };
}

function matches(tx: Transaction, row: Session, filter: SessionFilter): boolean {
  return (filter.grant === undefined || row.grant === filter.grant)
    && (filter.principal === undefined || row.principal === filter.principal)
    && (filter.target === undefined || tx.get(tx.tables.parts, row.part)?.part.target === filter.target)
    && (filter.live === undefined || filter.live === isLive(row));
}

const chunksOf = (tx: Transaction, id: string) => tx.all(tx.tables.chunks).filter((row) => row.session === id).sort((a, b) => a.seq - b.seq);

interface Chunk {
  readonly id: string;
  readonly seq: number;
  readonly sealed: Uint8Array;
  readonly plainHash: string;
  readonly events: number;
  readonly at: Date;
}

async function appendChunk(tx: Transaction, { id, seq, sealed, plainHash, events, at }: Chunk): Promise<boolean> {
  const { sessions, chunks } = tx.tables;
  return await tx.run('sessions.appendChunk', async () => {
    await tx.lock(sessions, id);
    const session = tx.get(sessions, id);
    await tx.trip('sessions.appendChunk known');
    const previous = tx.get(chunks, `${id} ${seq - 1}`);
    if (session === null || (seq > 0 && previous === null)) return false;
    const hash = chainHash(previous?.hash ?? null, plainHash);
    const kept = tx.get(chunks, `${id} ${seq}`);
    if (kept?.hash === hash) return true;
    if (kept !== null) throw new Refusal('conflict', `chunk ${seq} of this recording was kept with other bytes`);
    if (session.state === 'ended') throw new Refusal('wrong_state', 'the recording is closed: its session has ended');
    await tx.insert(chunks, `${id} ${seq}`, { session: id, seq, sealed, events, hash, at });
    return true;
  });
}
