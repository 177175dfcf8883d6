import type { ConnectionToken, CredentialTable, EnrolledKey } from '#app/ports/credential-table.ts';
import type { GrantId, PrincipalId } from '#domain/id.ts';
import type { Sql } from './sql.ts';

const KEY = `id, principal_id as principal, label, public_key as "publicKey", created_at as "createdAt", signed_in_at as "signedInAt",
  sign_in_method as "signInMethod", issued_by as "issuedBy", last_used_at as "lastUsedAt", revoked_at as "revokedAt"`;
const TOKEN = `handle, grant_id as "grant", principal_id as principal, verifier, created_at as "createdAt", expires_at as "expiresAt"`;

/** What is spent is spent by one update that only one of any number of racers finds unspent. */
export function credentialTable(sql: Sql): CredentialTable {
  return { ...keys(sql), ...links(sql), ...tokens(sql), ...certificates(sql), ...idempotency(sql), ...ownKeys(sql), purge: (before) => purge(sql, before) };
}

function keys(sql: Sql): Pick<CredentialTable, 'insertKey' | 'key' | 'keyByPublicKey' | 'keysOf' | 'revokeKey' | 'touchKey' | 'spendNonce'> {
  return {
    insertKey: async (k) => {
      await sql.run(
        `insert into brevet.keys (id, principal_id, label, public_key, created_at, signed_in_at, sign_in_method, issued_by, last_used_at, revoked_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [k.id, k.principal, k.label, k.publicKey, k.createdAt, k.signedInAt, k.signInMethod, k.issuedBy, k.lastUsedAt, k.revokedAt]);
    },
    key: (id) => sql.row<EnrolledKey & { id: string }>(`select ${KEY} from brevet.keys where id = $1`, [id]),
    keyByPublicKey: (pem) => sql.row<EnrolledKey & { id: string }>(`select ${KEY} from brevet.keys where public_key = $1`, [pem]),
    keysOf: (principal) => sql.rows<EnrolledKey & { id: string }>(`select ${KEY} from brevet.keys where principal_id = $1 order by id`, [principal]),
    revokeKey: async (id, at) => (await sql.run('update brevet.keys set revoked_at = $2 where id = $1 and revoked_at is null', [id, at])) === 1,
    touchKey: async (id, at) => {
      await sql.run('update brevet.keys set last_used_at = greatest(last_used_at, $2) where id = $1', [id, at]);
    },
    spendNonce: async (key, nonce, at) => (await sql.run(
      'insert into brevet.signature_nonces (key_id, nonce, used_at) values ($1, $2, $3) on conflict do nothing', [key, nonce, at])) === 1,
  };
}

function links(sql: Sql): Pick<CredentialTable, 'insertLink' | 'spendLink'> {
  return {
    insertLink: async (verifier, principal, issuedBy, at, expiresAt) => {
      await sql.run('insert into brevet.sign_in_links (verifier, principal_id, issued_by, created_at, expires_at) values ($1, $2, $3, $4, $5)',
        [verifier, principal, issuedBy, at, expiresAt]);
    },
    spendLink: (verifier, at) => sql.row<{ principal: PrincipalId; issuedBy: PrincipalId | null }>(
      `update brevet.sign_in_links set consumed_at = $2 where verifier = $1 and consumed_at is null and expires_at > $2
       returning principal_id as principal, issued_by as "issuedBy"`, [verifier, at]),
  };
}

function tokens(sql: Sql): Pick<CredentialTable, 'insertToken' | 'token' | 'spendToken' | 'countTokens'> {
  return {
    insertToken: async (t) => {
      await sql.run(
        'insert into brevet.connection_tokens (handle, grant_id, principal_id, verifier, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)',
        [t.handle, t.grant, t.principal, JSON.stringify(t.verifier), t.createdAt, t.expiresAt]);
    },
    token: (handle, now) => sql.row<ConnectionToken & { handle: string }>(
      `select ${TOKEN} from brevet.connection_tokens where handle = $1 and consumed_at is null and expires_at > $2`, [handle, now]),
    spendToken: (handle, now) => sql.row<ConnectionToken & { handle: string }>(
      `update brevet.connection_tokens set consumed_at = $2 where handle = $1 and consumed_at is null and expires_at > $2
       returning ${TOKEN}`, [handle, now]),
    countTokens: async (principal, now) => (await sql.row<{ n: number }>(
      `select count(*)::integer as n from brevet.connection_tokens where principal_id = $1 and consumed_at is null and expires_at > $2`,
      [principal, now]))?.n ?? 0,
  };
}

function certificates(sql: Sql): Pick<CredentialTable, 'insertCertificate' | 'certificate' | 'revokeIssued'> {
  return {
    insertCertificate: async ({ fingerprint, principal, grant, createdAt, notAfter }) => {
      await sql.run('insert into brevet.certificates (fingerprint, principal_id, grant_id, created_at, not_after) values ($1, $2, $3, $4, $5)',
        [fingerprint, principal, grant, createdAt, notAfter]);
    },
    certificate: (fingerprint, now) => sql.row<{ principal: PrincipalId; grant: GrantId | null }>(
      `select principal_id as principal, grant_id as "grant" from brevet.certificates
        where fingerprint = $1 and revoked_at is null and not_after > $2`, [fingerprint, now]),
    revokeIssued: async (principal, at) => {
      await sql.run('update brevet.certificates set revoked_at = $2 where principal_id = $1 and revoked_at is null and not_after > $2', [principal, at]);
      await sql.run('update brevet.connection_tokens set consumed_at = $2 where principal_id = $1 and consumed_at is null and expires_at > $2', [principal, at]);
    },
  };
}

function idempotency(sql: Sql): Pick<CredentialTable, 'openIdempotency' | 'closeIdempotency' | 'forgetIdempotency'> {
  return {
    openIdempotency: async (principal, key, bodyHash, at) => {
      // Waits for a racer that has not committed yet.
      const opened = await sql.run(
        'insert into brevet.idempotency_keys (principal_id, key, body_hash, created_at) values ($1, $2, $3, $4) on conflict do nothing',
        [principal, key, bodyHash, at]);
      if (opened === 1) return 'new';
      return sql.row<{ status: number; response: Uint8Array }>(
        `select status, response from brevet.idempotency_keys
          where principal_id = $1 and key = $2 and body_hash = $3 and status is not null`, [principal, key, bodyHash]);
    },
    closeIdempotency: async (principal, key, status, response) => {
      await sql.run('update brevet.idempotency_keys set status = $3, response = $4 where principal_id = $1 and key = $2',
        [principal, key, status, response]);
    },
    // What was answered already stays answered.
    forgetIdempotency: async (principal, key) => {
      await sql.run('delete from brevet.idempotency_keys where principal_id = $1 and key = $2 and status is null', [principal, key]);
    },
  };
}

function ownKeys(sql: Sql): Pick<CredentialTable, 'ownKey' | 'keepOwnKey'> {
  const ownKey: CredentialTable['ownKey'] = (name) =>
    sql.row<{ sealed: Uint8Array; public: string }>('select sealed, public from brevet.own_keys where name = $1', [name]);
  return {
    ownKey,
    keepOwnKey: async (name, sealed, publicKey, at) => {
      await sql.run('insert into brevet.own_keys (name, sealed, public, created_at) values ($1, $2, $3, $4) on conflict do nothing',
        [name, sealed, publicKey, at]);
      return (await ownKey(name)) ?? { sealed, public: publicKey };
    },
  };
}

/**
 * At a time, and how often in one purge: an upgrade that finds years of them, or a flood, must not make a statement run out of
 * its time. Few enough that PostgreSQL takes the index before it knows how many there are.
 */
const PURGED_AT_ONCE = 5_000;
const MOST_ROUNDS = 10;

/**
 * A certificate or token that is not known is refused like one that ran out, so that dropping it lets nobody in. What was
 * spent stays until it would have run out.
 */
async function purge(sql: Sql, before: Date): Promise<void> {
  for (const [table, age] of [
    ['signature_nonces', 'used_at'], ['idempotency_keys', 'created_at'], ['sign_in_links', 'expires_at'], ['connection_tokens', 'expires_at'],
    ['certificates', 'not_after'],
  ] as const) {
    for (let round = 0, gone = PURGED_AT_ONCE; gone === PURGED_AT_ONCE && round < MOST_ROUNDS; round++) {
      gone = await sql.run(
        `delete from brevet.${table} where ctid = any(array(select ctid from brevet.${table} where ${age} < $1 order by ${age} limit ${PURGED_AT_ONCE}))`, [before]);
    }
  }
}
