import { z } from 'zod';

/** What many messages are made of. Every object is strict: a field that is not known is refused. */
export const ulid = '[0-7][0-9a-hjkmnp-tv-z]{25}';
/** Descriptions go on after "must be": they tell whoever sent something else what belongs there. */
const id = (prefix: string, starts = `${prefix}_`) => z.string().regex(new RegExp(`^${prefix}_${ulid}$`)).describe(`a full id that starts with ${starts}`);

export const PrincipalId = id('(?:per|wkl)', 'per_ or wkl_');
export const RequestId = id('req');
export const GrantId = id('grt');
export const SessionId = id('ses');
export const TargetId = id('tgt');
export const EntitlementId = id('ent');
export const KeyId = id('key');

/** Names that people type: ASCII by rule, so that none looks like another. */
export const Name = z.string().regex(/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/).describe('a name of at most 63 lower-case letters, digits, dots, dashes and underscores, with a letter or digit at both ends');
/** Seconds, or what people write: 45m, 1h30m. */
export const Duration = z.union([z.int().min(1).max(31_622_400), z.string().min(1).max(40)]).describe('a duration such as 45m or 1h30m, or whole seconds');
export const Instant = z.iso.datetime({ offset: true }).describe('a moment with its zone, such as 2026-12-01T22:00:00Z');
export const Seconds = z.int().min(0);
export const JsonObject = z.record(z.string(), z.json());
export const Reason = z.string().trim().min(1).max(2000).describe('a text of 1 to 2000 characters');
export const Ticket = z.string().trim().min(1).max(200).describe('a text of 1 to 200 characters');

export const PrincipalRef = z.strictObject({
  id: PrincipalId,
  kind: z.enum(['person', 'workload']),
  name: z.string(),
  displayName: z.string(),
});
export const TargetRef = z.strictObject({ id: TargetId, name: z.string(), type: z.string() });
export const EntitlementRef = z.strictObject({ id: EntitlementId, name: z.string(), title: z.string(), revision: z.int() });

export const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  /** The `next` of the page before. */
  cursor: z.string().min(1).max(200).optional(),
});
/** Of the catalogue: by name. Each row asks policy or looks at health, so that fewer come at once. */
export const NamedPageQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(100).default(100), cursor: Name.optional() });
export const page = <T extends z.ZodType>(item: T) => z.strictObject({ items: z.array(item), next: z.string().nullable() });
