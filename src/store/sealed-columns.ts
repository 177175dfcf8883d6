import {
  answerIdentity, chunkIdentity, credentialIdentity, ownKeyIdentity, secretIdentity, subjectIdentity,
} from '#app/ports/sealed-identity.ts';
import type { SecretIdentity } from '#app/ports/secrets.ts';

export interface SealedColumn {
  /** What an operator calls such a value. */
  readonly kind: string;
  readonly table: string;
  readonly column: string;
  /** The generated column that tells its root key. */
  readonly under: string;
  /** The primary key's columns, and how the row's identity is made of them. */
  readonly key: readonly string[];
  identity(row: readonly (string | number)[]): SecretIdentity;
}

/** Every column that holds sealed values. A test holds it against the schema: one that is missing here would be lost with its root key. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  { kind: 'own key', table: 'own_keys', column: 'sealed', under: 'sealed_under', key: ['name'], identity: ([name]) => ownKeyIdentity(String(name)) },
  { kind: 'target credential', table: 'targets', column: 'credential', under: 'credential_under', key: ['id'], identity: ([id]) => credentialIdentity(id as `tgt_${string}`) },
  { kind: 'account secret', table: 'grant_parts', column: 'secret', under: 'secret_under', key: ['id'], identity: ([id]) => secretIdentity(id as `prt_${string}`) },
  { kind: 'subject key', table: 'subject_keys', column: 'sealed', under: 'sealed_under', key: ['principal_id'], identity: ([id]) => subjectIdentity(id as `per_${string}`) },
  { kind: 'kept answer', table: 'idempotency_keys', column: 'response', under: 'response_under', key: ['principal_id', 'key'], identity: ([id, key]) => answerIdentity(id as `per_${string}`, String(key)) },
  { kind: 'recording chunk', table: 'recording_chunks', column: 'sealed', under: 'sealed_under', key: ['session_id', 'seq'], identity: ([id, seq]) => chunkIdentity(id as `ses_${string}`, Number(seq)) },
];

export function sealedColumn(kind: string): SealedColumn {
  const found = SEALED_COLUMNS.find((each) => each.kind === kind);
  if (!found) throw new RangeError(`nothing of the kind "${kind}" is sealed`);
  return found;
}
