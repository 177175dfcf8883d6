/** What each sealed value is called: its table, row and field. A rotation has to find every one of them by these names. */
import type { PartId, PrincipalId, SessionId, TargetId } from '#domain/id.ts';
import type { SecretIdentity } from './secrets.ts';

export const credentialIdentity = (target: TargetId): SecretIdentity => `targets/${target}/credential`;
export const secretIdentity = (part: PartId): SecretIdentity => `grant_parts/${part}/secret`;
export const chunkIdentity = (session: SessionId, seq: number): SecretIdentity => `recording_chunks/${session}/${seq}`;
export const subjectIdentity = (subject: PrincipalId): SecretIdentity => `subjects/${subject}/key`;
export const ownKeyIdentity = (name: string): SecretIdentity => `own_keys/${name}/sealed`;
export const answerIdentity = (caller: PrincipalId, key: string): SecretIdentity => `idempotency/${caller}/${key}`;
