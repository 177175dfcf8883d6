import type { ConnectionToken, EnrolledKey } from '#app/ports/credential-table.ts';
import type { KeyHolder } from '#app/ports/root-keys.ts';
import type { Folder, Group, TargetHealth, Topic } from '#app/ports/store.ts';
import type { PolicySource } from '#app/ports/policy.ts';
import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { Grant, GrantPart, Session } from '#domain/grant.ts';
import type { GrantId, GroupId, PrincipalId } from '#domain/id.ts';
import type { Principal } from '#domain/principal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';
import { Locks } from './locks.ts';
import { Table } from './table.ts';

export interface PrincipalRow {
  readonly principal: Principal;
  readonly password: { readonly hash: string; readonly issuedBy: PrincipalId | null } | null;
  readonly erasedAt: Date | null;
}
export interface TargetRow {
  readonly target: Target;
  readonly credential: Uint8Array | null;
  readonly health: TargetHealth;
}
export interface PartRow {
  readonly part: GrantPart;
  readonly secret: Uint8Array | null;
  readonly claimedUntil: Date | null;
  readonly settled: boolean;
}
export interface PolicyRow {
  readonly version: number;
  readonly sources: readonly PolicySource[];
  readonly publishedBy: PrincipalId | null;
}
export interface EntryRow {
  readonly id: string;
  readonly arrival: number;
  readonly at: Date;
  readonly type: string;
  readonly body: string;
  readonly about: Readonly<Record<'grant' | 'request' | 'session' | 'principal', string | null>>;
  readonly index: number | null;
  readonly leaf: Uint8Array | null;
}
export interface ChunkRow {
  readonly session: string;
  readonly seq: number;
  readonly sealed: Uint8Array | null;
  readonly events: number;
  readonly hash: string;
  readonly at: Date;
}
export interface CertificateRow {
  readonly fingerprint: string;
  readonly principal: PrincipalId;
  readonly grant: GrantId | null;
  readonly notAfter: Date;
  readonly revokedAt: Date | null;
}

const ended = (row: { readonly state: string }) => row.state !== 'ended';

/** What the database holds, shared by all nodes: the tables of src/store/schema.sql, with what holds rows against others. */
export class Memory {
  readonly locks = new Locks();
  /** Called with each notice of a commit. */
  readonly listeners = new Set<(topic: Topic, payload: string) => void>();
  arrivals = 0;
  ordinals = 0;
  readonly tables = {
    principals: new Table<PrincipalRow>('principals', undefined, { principals_name_key: (row) => row.principal.name }),
    subjectKeys: new Table<{ sealed: Uint8Array | null }>('subject_keys'),
    groups: new Table<Group>('groups', undefined, { groups_name_key: (row) => row.name }),
    members: new Table<{ group: GroupId; principal: PrincipalId; since: Date }>('group_members'),
    folders: new Table<Folder>('folders', undefined, { folders_name_key: (row) => row.name }),
    targets: new Table<TargetRow>('targets', undefined, { targets_name_key: (row) => row.target.name }),
    entitlements: new Table<Entitlement>('entitlements', undefined, { entitlements_name_key: (row) => row.name }),
    policies: new Table<PolicyRow>('policy_versions'),
    requests: new Table<AccessRequest>('requests', (row) => row.state === 'pending'),
    reviews: new Table<Review>('reviews', undefined, { reviews_request_id_reviewer_id_key: (row) => `${row.request} ${row.reviewer}` }),
    grants: new Table<Grant>('grants', ended, { grants_request_id_key: (row) => row.request }),
    parts: new Table<PartRow>('grant_parts', (row) => row.part.state !== 'absent' || !row.settled, {
      grant_parts_object_name_key: (row) => row.part.objectName,
      grant_parts_grant_id_ordinal_key: (row) => `${row.part.grant} ${row.part.ordinal}`,
    }),
    sessions: new Table<Session>('sessions', ended),
    chunks: new Table<ChunkRow>('recording_chunks'),
    keys: new Table<EnrolledKey>('keys', undefined, { keys_public_key_key: (row) => row.publicKey }),
    nonces: new Table<{ usedAt: Date }>('signature_nonces'),
    links: new Table<{ principal: PrincipalId; issuedBy: PrincipalId | null; expiresAt: Date; consumedAt: Date | null }>('sign_in_links'),
    tokens: new Table<{ token: ConnectionToken; consumedAt: Date | null }>('connection_tokens'),
    certificates: new Table<CertificateRow>('certificates'),
    idempotency: new Table<{ bodyHash: string; status: number | null; response: Uint8Array | null; createdAt: Date }>('idempotency_keys'),
    erasedNames: new Table<PrincipalId>('erased_names'),
    rootKeys: new Table<{ readonly id: string; readonly ordinal: number }>('root_keys'),
    keyHolders: new Table<{ readonly holder: KeyHolder; readonly seenAt: Date }>('key_holders'),
    ownKeys: new Table<{ sealed: Uint8Array; public: string }>('own_keys'),
    entries: new Table<EntryRow>('log_entries', (row) => row.index === null),
    tiles: new Table<Uint8Array>('log_tiles'),
    logState: new Table<{ size: number; checkpoint: string | null }>('log_state'),
  };

  constructor() {
    this.tables.logState.put('one', { size: 0, checkpoint: null });
  }

  /** A backup: rows are never changed in place, so that the maps are all there is to copy. */
  backup(): ReadonlyMap<string, ReadonlyMap<string, unknown>> {
    return new Map(Object.entries(this.tables).map(([name, table]) => [name, new Map<string, unknown>(table.rows)]));
  }

  restore(backup: ReadonlyMap<string, ReadonlyMap<string, unknown>>): void {
    for (const [name, table] of Object.entries(this.tables)) (table as Table<unknown>).replaceAll(backup.get(name) ?? new Map());
  }
}

export type Tables = Memory['tables'];
