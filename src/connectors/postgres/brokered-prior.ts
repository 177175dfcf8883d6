import { z } from 'zod';
import type { Connector } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { PASSWORD_FORMS } from './account-password.ts';

/** What `prepare` reads of a stored account. No secret: the password to put back is the target's credential. */
const PRIOR = z.object({
  /** The account's oid: its name may change meanwhile. */
  account: z.int(),
  accountName: z.string(),
  password: z.enum(PASSWORD_FORMS),
  settings: z.record(z.string(), z.record(z.string(), z.string())),
  traces: z.record(z.string(), z.union([z.string(), z.number()])),
  readAt: z.string(),
});
export type Prior = z.infer<typeof PRIOR>;

const backends = z.array(z.looseObject({ pid: z.int().positive().optional(), backendStart: z.string().max(40).optional() })).max(100_000).default([]);
/** What the application adds for the removal. */
const REMOVAL = PRIOR.extend({
  /** What brokers noted of this grant's connections; `backendStart` is `pg_stat_activity.backend_start` as text, when they know it. */
  backends,
  /** The same of other live grants' sessions as the account: not ours to end. */
  spared: backends,
  /** The residue of attempts before this one. */
  found: z.array(z.record(z.string(), z.unknown())).default([]),
});
export type Removal = z.infer<typeof REMOVAL>;

/** @throws Refusal `invalid_input` */
export function parsePrior(prior: JsonObject | null): Prior {
  return parse(PRIOR, prior);
}

/** @throws Refusal `invalid_input` */
export function parseRemoval(prior: JsonObject): Removal {
  return parse(REMOVAL, prior);
}

function parse<T>(schema: z.ZodType<T>, prior: JsonObject | null): T {
  const parsed = schema.safeParse(prior);
  if (!parsed.success) throw new Refusal('invalid_input', 'what was noted for the brokered session is unreadable', { field: '/prior' });
  return parsed.data;
}

/** Sessions of the earlier grant may have changed the account before this one looked. Another account of its name counts for nothing. */
export const baseline: Connector['baseline'] = (own, earlier) => {
  const [mine, theirs] = [parsePrior(own), parsePrior(earlier)];
  if (mine.account !== theirs.account) return own;
  const traces = mine.traces['database'] === theirs.traces['database'] ? theirs.traces : mine.traces;
  return { ...mine, password: theirs.password, settings: theirs.settings, readAt: theirs.readAt, traces };
};
