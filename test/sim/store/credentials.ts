import type { CredentialTable } from '#app/ports/credential-table.ts';
import { byText } from './ordering.ts';
import type { Transaction } from './transaction.ts';

/** What is spent is spent under its row's lock: of any number of racers one finds it unspent. */
export function credentialTable(tx: Transaction): CredentialTable {
  return { ...keys(tx), ...links(tx), ...tokens(tx), ...certificates(tx), ...idempotency(tx), ...ownKeys(tx), purge: (before) => purge(tx, before) };
}

const present = <R>(row: R | null): R[] => (row === null ? [] : [row]);

function keys(tx: Transaction): Pick<CredentialTable, 'insertKey' | 'key' | 'keyByPublicKey' | 'keysOf' | 'revokeKey' | 'touchKey' | 'spendNonce'> {
  const { keys: rows, nonces } = tx.tables;
  const one = (id: string) => present(tx.get(rows, id));
  return {
    insertKey: (key) => tx.run('credentials.insertKey', () => tx.insert(rows, key.id, key)),
    key: (id) => tx.run('credentials.key', () => tx.get(rows, id)),
    keyByPublicKey: (pem) => tx.run('credentials.keyByPublicKey', () => tx.all(rows).find((row) => row.publicKey === pem) ?? null),
    keysOf: (principal) => tx.run('credentials.keysOf', () => tx.all(rows).filter((row) => row.principal === principal).sort(byText((row) => row.id))),
    revokeKey: (id, at) => tx.run('credentials.revokeKey', async () => (await tx.update(rows, one(id), (row) => row.id, (row) => row.revokedAt === null, (row) => ({ ...row, revokedAt: at }))).length === 1),
    touchKey: (id, at) => tx.run('credentials.touchKey', async () => {
      await tx.update(rows, one(id), (row) => row.id, () => true, (row) => ({ ...row, lastUsedAt: row.lastUsedAt !== null && row.lastUsedAt > at ? row.lastUsedAt : at }));
    }),
    spendNonce: (key, nonce, at) => tx.run('credentials.spendNonce', () => tx.insertIfNew(nonces, `${key} ${nonce}`, { usedAt: at })),
  };
}

function links(tx: Transaction): Pick<CredentialTable, 'insertLink' | 'spendLink'> {
  const { links: rows } = tx.tables;
  const keyOf = (verifier: Uint8Array) => Buffer.from(verifier).toString('hex');
  return {
    insertLink: (verifier, principal, issuedBy, _, expiresAt) => tx.run('credentials.insertLink', () => tx.insert(rows, keyOf(verifier), { principal, issuedBy, expiresAt, consumedAt: null })),
    spendLink: (verifier, at) => tx.run('credentials.spendLink', async () => {
      const key = keyOf(verifier);
      const [spent] = await tx.update(rows, present(tx.get(rows, key)), () => key, (row) => row.consumedAt === null && row.expiresAt > at, (row) => ({ ...row, consumedAt: at }));
      return spent ? { principal: spent.principal, issuedBy: spent.issuedBy } : null;
    }),
  };
}

function tokens(tx: Transaction): Pick<CredentialTable, 'insertToken' | 'token' | 'spendToken' | 'countTokens'> {
  const { tokens: rows } = tx.tables;
  type Row = NonNullable<ReturnType<typeof rows.rows.get>>;
  const live = (now: Date) => ({ token, consumedAt }: Row) => consumedAt === null && token.expiresAt > now;
  return {
    insertToken: (token) => tx.run('credentials.insertToken', () => tx.insert(rows, token.handle, { token, consumedAt: null })),
    token: (handle, now) => tx.run('credentials.token', () => present(tx.get(rows, handle)).find(live(now))?.token ?? null),
    spendToken: (handle, now) => tx.run('credentials.spendToken', async () =>
      (await tx.update(rows, present(tx.get(rows, handle)), () => handle, live(now), (row) => ({ ...row, consumedAt: now })))[0]?.token ?? null),
    countTokens: (principal, now) => tx.run('credentials.countTokens', () => tx.all(rows).filter((row) => row.token.principal === principal && live(now)(row)).length),
  };
}

function certificates(tx: Transaction): Pick<CredentialTable, 'insertCertificate' | 'certificate' | 'revokeIssued'> {
  const { certificates: rows, tokens: secrets } = tx.tables;
  return {
    insertCertificate: ({ fingerprint, principal, grant, notAfter }) => tx.run('credentials.insertCertificate', () => tx.insert(rows, fingerprint, { fingerprint, principal, grant, notAfter, revokedAt: null })),
    certificate: (fingerprint, now) => tx.run('credentials.certificate', () => {
      const row = tx.get(rows, fingerprint);
      return row && row.revokedAt === null && row.notAfter > now ? { principal: row.principal, grant: row.grant } : null;
    }),
    revokeIssued: async (principal, at) => {
      await tx.run('credentials.revokeIssued', () => tx.update(rows, tx.all(rows), (row) => row.fingerprint,
        (row) => row.principal === principal && row.revokedAt === null && row.notAfter > at, (row) => ({ ...row, revokedAt: at })));
      await tx.run('credentials.revokeIssued tokens', () => tx.update(secrets, tx.all(secrets), (row) => row.token.handle,
        (row) => row.token.principal === principal && row.consumedAt === null && row.token.expiresAt > at, (row) => ({ ...row, consumedAt: at })));
    },
  };
}

function idempotency(tx: Transaction): Pick<CredentialTable, 'openIdempotency' | 'closeIdempotency' | 'forgetIdempotency'> {
  const { idempotency: rows } = tx.tables;
  return {
    openIdempotency: (principal, key, bodyHash, createdAt) => tx.run('credentials.openIdempotency', async () => {
      if (await tx.insertIfNew(rows, `${principal} ${key}`, { bodyHash, status: null, response: null, createdAt })) return 'new';
      const row = tx.get(rows, `${principal} ${key}`);
      return row && row.bodyHash === bodyHash && row.status !== null && row.response !== null ? { status: row.status, response: row.response } : null;
    }),
    closeIdempotency: (principal, key, status, response) => tx.run('credentials.closeIdempotency', async () => {
      const id = `${principal} ${key}`;
      await tx.update(rows, present(tx.get(rows, id)), () => id, () => true, (row) => ({ ...row, status, response }));
    }),
    forgetIdempotency: (principal, key) => tx.run('credentials.forgetIdempotency', async () => {
      const id = `${principal} ${key}`;
      await tx.lock(rows, id);
      if (tx.get(rows, id)?.status === null) tx.put(rows, id, null);
    }),
  };
}

function ownKeys(tx: Transaction): Pick<CredentialTable, 'ownKey' | 'keepOwnKey'> {
  const { ownKeys: rows } = tx.tables;
  return {
    ownKey: (name) => tx.run('credentials.ownKey', () => tx.get(rows, name)),
    keepOwnKey: (name, sealed, publicKey) => tx.run('credentials.keepOwnKey', async () => {
      await tx.insertIfNew(rows, name, { sealed, public: publicKey });
      return tx.get(rows, name) ?? { sealed, public: publicKey };
    }),
  };
}

async function purge(tx: Transaction, before: Date): Promise<void> {
  const { nonces, idempotency: opened, links: signIn, tokens: secrets, certificates: shown } = tx.tables;
  await tx.run('credentials.purge', async () => {
    const drop = async <R>(table: { readonly name: string; readonly rows: ReadonlyMap<string, R> } & Parameters<typeof tx.get<R>>[0], old: (row: R) => boolean) => {
      for (const [key, row] of table.rows) {
        if (!old(row)) continue;
        await tx.lock(table, key);
        tx.put(table, key, null);
      }
    };
    await drop(nonces, (row) => row.usedAt < before);
    await drop(opened, (row) => row.createdAt < before);
    await drop(signIn, (row) => row.expiresAt < before);
    await drop(secrets, ({ token }) => token.expiresAt < before);
    await drop(shown, (row) => row.notAfter < before);
  });
}
