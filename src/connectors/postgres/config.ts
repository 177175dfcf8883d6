import { isIP } from 'node:net';
import { z } from 'zod';
import type { JsonObject } from '#domain/json.ts';
import { faultOfName } from './identifier.ts';
import { refuseIssue } from './refuse-issue.ts';

/**
 * Where a PostgreSQL server is and as whom Brevet administers it. `user` is a superuser, or a role with CREATEROLE that
 * may grant what the scopes name (owner, or with grant option; roles with admin option) and, for accounts that exist
 * already, is a member of pg_signal_backend and pg_read_all_stats. Its password is the target's credential, never here.
 */
export interface TargetConfig {
  readonly host: string;
  readonly port: number;
  /** Where Brevet signs in when a scope names no database. */
  readonly database: string;
  readonly user: string;
  /**
   * As libpq's `sslmode`: `prefer` falls back to clear text, `require` encrypts without knowing to whom, `verify-full`
   * checks the certificate and the host name. The default is the strictest.
   */
  readonly tls: 'disable' | 'prefer' | 'require' | 'verify-full';
  /** PEM; `null` for the system's authorities. */
  readonly ca: string | null;
  /** Who gets what a session leaves behind; `null` for the owner of the database it lies in. */
  readonly reassignTo: string | null;
}

const name = z.string().superRefine((value, context) => {
  const fault = faultOfName(value);
  if (fault) context.addIssue({ code: 'custom', message: `the name ${fault}` });
});
/** Host names and addresses only: a path would open a Unix socket of Brevet's own machine. */
const host = z.string().refine((text) => isIP(text) !== 0 || (text.length <= 253 && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(text)), {
  message: 'not a host name or an IP address',
});
const CONFIG = z.strictObject({
  host,
  port: z.int().min(1).max(65_535).default(5432),
  database: name.default('postgres'),
  user: name,
  tls: z.enum(['disable', 'prefer', 'require', 'verify-full']).default('verify-full'),
  ca: z.string().max(100_000).includes('-----BEGIN CERTIFICATE-----', { message: 'not a PEM certificate' }).nullable().default(null),
  reassignTo: name.nullable().default(null),
});

/** @throws Refusal `invalid_input` with `field` */
export function parseConfig(config: unknown): TargetConfig & JsonObject {
  const parsed = CONFIG.safeParse(config);
  if (!parsed.success) throw refuseIssue(parsed.error, 'the target\'s configuration');
  return parsed.data;
}
