import { z } from 'zod';
import { Instant, KeyId, Name, PrincipalId, PrincipalRef } from './primitives.ts';

const PublicKey = z.string().min(50).max(4000).describe('SPKI in PEM; Ed25519 for request signatures');
const Label = z.string().trim().min(1).max(100);

export const Me = z.strictObject({
  ...PrincipalRef.shape,
  administrator: z.boolean(),
  groups: z.array(z.string()),
  owner: PrincipalRef.nullable(),
  key: KeyId.nullable(),
  authentication: z.strictObject({ method: z.string(), at: Instant }),
});

/** Enrols a key by a one-time sign-in link, or by name and password. The private key stays where it was made. */
export const SignInByLink = z.strictObject({
  link: z.string().min(20).max(300),
  publicKey: PublicKey,
  label: Label,
  principal: PrincipalId.optional().describe("who is expected: a link of anybody else's is refused, and not spent"),
});
export const SignInByPassword = z.strictObject({ name: Name, password: z.string().min(1).max(1000), publicKey: PublicKey, label: Label });
export const SignedIn = z.strictObject({ key: KeyId, principal: PrincipalRef });

export const EnrolledKey = z.strictObject({
  id: KeyId,
  label: z.string(),
  createdAt: Instant,
  signedInAt: Instant,
  signInMethod: z.string(),
  lastUsedAt: Instant.nullable(),
  revokedAt: Instant.nullable(),
  current: z.boolean(),
});

export const SetPassword = z.strictObject({ password: z.string().min(12).max(1000) });
export const NewPrincipal = z.strictObject({
  kind: z.enum(['person', 'workload']),
  name: Name,
  displayName: z.string().trim().min(1).max(200),
  /** The owner's name, for a workload. */
  owner: Name.optional(),
  administrator: z.boolean().default(false),
});
export const Principal = z.strictObject({
  ...PrincipalRef.shape,
  administrator: z.boolean(),
  owner: PrincipalRef.nullable(),
  disabledAt: Instant.nullable(),
  groups: z.array(z.string()),
});
export const SignInLink = z.strictObject({ link: z.string(), expiresAt: Instant });
/** An administrator enrols a workload's public key; the workload signs its requests with the private one. */
export const NewWorkloadKey = z.strictObject({ publicKey: PublicKey, label: Label });

export const NewCertificate = z.strictObject({
  publicKey: z.string().min(50).max(4000).describe('SPKI in PEM: P-256, Ed25519 or RSA from 3072 bits'),
  /** Binds it to one grant; otherwise it stands for the person and works with whatever is granted. */
  grant: z.string().optional(),
});
export const Certificate = z.strictObject({ certificate: z.string(), authority: z.string(), notAfter: Instant, principal: PrincipalId });
