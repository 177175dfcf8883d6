import { z } from 'zod';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { PLACES } from './privileges.ts';

const PRIOR = z.strictObject({
  /** The account's oid: its name may change meanwhile. */
  account: z.int(),
  accountName: z.string(),
  /** What it lacked of the scope: to be given, and taken back. */
  privileges: z.array(z.strictObject({ on: z.enum(PLACES), oid: z.int(), column: z.int(), verb: z.string(), name: z.string() })),
  /** The roles to be given; `before` is what our own row in `pg_auth_members` said, `null` when there was none. */
  roles: z.array(z.strictObject({ role: z.string(), before: z.strictObject({ admin: z.boolean(), inherit: z.boolean(), set: z.boolean() }).nullable() })),
  /** How much of the scope the account had already; it keeps that. */
  heldBefore: z.int(),
  readAt: z.string(),
});

/** What `prepare` reads before an elevation; it lies in the store between the calls. */
export type Prior = z.infer<typeof PRIOR>;

/** @throws Refusal `invalid_input` when it is not what `prepare` made */
export function parsePrior(prior: JsonObject | null): Prior {
  const parsed = PRIOR.safeParse(prior);
  if (!parsed.success) throw new Refusal('invalid_input', 'the elevation has not been prepared', { field: '/prior' });
  return parsed.data;
}
