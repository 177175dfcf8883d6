import type { PrincipalTable } from '#app/ports/store.ts';
import type { Transaction } from './transaction.ts';

type Erasure = Pick<PrincipalTable, 'live' | 'erasedAt' | 'erase' | 'keepErasedName' | 'byErasedName'>;
type Owned = { readonly principal: string; readonly onBehalfOf: string | null };

/** What src/store/erasure.ts blanks, but for accounts named after the person: none is in the simulator. */
export function erasure(tx: Transaction): Erasure {
  const { principals, erasedNames, grants, sessions, requests } = tx.tables;
  return {
    live: (id) => tx.run('principals.live', () => {
      const them = new Set(tx.all(principals).map((row) => row.principal).filter((one) => one.id === id || one.owner === id).map((one) => one.id as string));
      const theirs = (row: Owned) => them.has(row.principal) || row.onBehalfOf === id;
      return {
        grants: tx.live(grants).filter((row) => row.state !== 'ended' && theirs(row)).length,
        sessions: tx.live(sessions).filter((row) => row.state !== 'ended' && them.has(row.principal)).length,
        requests: tx.live(requests).filter((row) => row.state === 'pending' && theirs(row)).length,
      };
    }),
    erasedAt: (id) => tx.run('principals.erasedAt', () => tx.get(principals, id)?.erasedAt ?? null),
    erase: async (id, as) => {
      const renamed = await tx.run('principals.erase', () => tx.update(principals, tx.all(principals), (row) => row.principal.id,
        (row) => row.principal.id === id && row.erasedAt === null,
        (row) => ({ principal: { ...row.principal, ...as, administrator: false }, password: null, erasedAt: tx.now })));
      if (renamed.length === 0) return null;
      await tx.run('principals.erase sign-ins', () => forgetSignIns(tx, id));
      const blanked = await tx.run('principals.erase requests', () => blankRequests(tx, id));
      return { requests: blanked, sessions: await tx.run('principals.erase sessions', () => blankSessions(tx, id)) };
    },
    keepErasedName: (id, hash) => tx.run('principals.keepErasedName', () => tx.insert(erasedNames, hash, id)),
    byErasedName: (hash) => tx.run('principals.byErasedName', () => tx.get(erasedNames, hash)),
  };
}

async function forgetSignIns(tx: Transaction, id: string): Promise<void> {
  const { subjectKeys, keys, members, links, tokens, idempotency } = tx.tables;
  await tx.upsert(subjectKeys, id, () => ({ sealed: null }));
  await tx.update(keys, tx.all(keys), (row) => row.id, (row) => row.principal === id, (row) => ({ ...row, label: 'erased', revokedAt: row.revokedAt ?? tx.now }));
  const drop = async <R>(table: { readonly name: string; readonly rows: ReadonlyMap<string, R> } & Parameters<typeof tx.get<R>>[0], theirs: (row: R, key: string) => boolean) => {
    for (const [key, row] of table.rows) {
      if (!theirs(row, key)) continue;
      await tx.lock(table, key);
      tx.put(table, key, null);
    }
  };
  await drop(members, (row) => row.principal === id);
  await drop(links, (row) => row.principal === id);
  await drop(tokens, (row) => row.token.principal === id);
  await drop(idempotency, (_, key) => key.startsWith(`${id} `));
}

async function blankRequests(tx: Transaction, id: string): Promise<number> {
  const { requests, reviews } = tx.tables;
  const theirs = (row: Owned) => row.principal === id || row.onBehalfOf === id;
  const blanked = await tx.update(requests, tx.all(requests), (row) => row.id, (row) => theirs(row) && row.erasedAt === null,
    (row) => ({ ...row, reason: '[erased]', ticket: null, decisionReason: null, erasedAt: tx.now }));
  const denied = new Set(tx.all(reviews).filter((row) => row.reviewer === id && row.decision === 'deny').map((row) => row.request));
  await tx.update(requests, tx.all(requests), (row) => row.id, (row) => row.decisionReason !== null && denied.has(row.id), (row) => ({ ...row, decisionReason: null }));
  const asked = new Set(tx.all(requests).filter(theirs).map((row) => row.id));
  await tx.update(reviews, tx.all(reviews), (row) => row.id, (row) => row.reason !== null && (row.reviewer === id || asked.has(row.request)), (row) => ({ ...row, reason: null }));
  return blanked.length;
}

async function blankSessions(tx: Transaction, id: string): Promise<number> {
  const { sessions, chunks, grants } = tx.tables;
  const theirs = new Set(tx.all(sessions).filter((row) => row.principal === id || tx.get(grants, row.grant)?.onBehalfOf === id).map((row) => row.id as string));
  await tx.update(chunks, tx.all(chunks), (row) => `${row.session} ${row.seq}`, (row) => row.sealed !== null && theirs.has(row.session), (row) => ({ ...row, sealed: null }));
  return (await tx.update(sessions, tx.all(sessions), (row) => row.id, (row) => theirs.has(row.id), (row) => ({ ...row, clientAddress: 'erased', application: null, facts: {} }))).length;
}
