import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { faultOfName } from './identifier.ts';
import { refuseIssue } from '../refuse-issue.ts';

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
  /** PEM; `null` for the public authorities that Node.js brings. */
  readonly ca: string | null;
  /** Who gets what a session leaves behind, if it is no administrator then; `null` for a powerless role of Brevet's own. */
  readonly reassignTo: string | null;
}

const name = z
  .string()
  .superRefine((value, context) => {
    const fault = faultOfName(value);
    if (fault) context.addIssue({ code: 'custom', message: `the name ${fault}` });
  })
  .describe('a name as PostgreSQL has it, of at most 63 bytes');
/** Host names and addresses only: a path would open a Unix socket of Brevet's own machine. */
const host = z
  .string()
  .refine((text) => isIP(text) !== 0 || (text.length <= 253 && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(text)))
  .describe('a host name or an IP address, such as db1.example.com, without port, path or spaces');
const CONFIG = z.strictObject({
  host,
  port: z.int().min(1).max(65_535).describe('a port from 1 to 65535, such as 5432').default(5432),
  database: name.default('postgres'),
  user: name,
  tls: z.enum(['disable', 'prefer', 'require', 'verify-full']).describe('one of disable, prefer, require, verify-full').default('verify-full'),
  ca: z.string().max(100_000).includes('-----BEGIN CERTIFICATE-----').describe('X.509 certificates in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----').nullable().default(null),
  reassignTo: name.nullable().default(null),
});

/** A configuration that was applied: what was good once is read for ever, or a removal would fail on a new rule. */
export function readConfig(config: unknown): TargetConfig & JsonObject {
  const parsed = CONFIG.safeParse(config);
  if (!parsed.success) throw refuseIssue(CONFIG, parsed.error, config, 'the target\'s configuration');
  return parsed.data;
}

/** A configuration as somebody writes it. @throws Refusal `invalid_input` with `field` */
export function parseConfig(config: unknown): TargetConfig & JsonObject {
  const parsed = readConfig(config);
  if (parsed.ca === null) return parsed;
  if (parsed.tls !== 'verify-full') {
    throw new Refusal('invalid_input', `a ca is given, and with tls: ${parsed.tls} nothing is checked by it`, { field: '/ca', hint: 'Say tls: verify-full, or leave ca out.' });
  }
  const bad = firstUnreadable(parsed.ca);
  if (bad !== null) {
    throw new Refusal('invalid_input', `certificate ${bad} in ca is no X.509 certificate`, { field: '/ca', hint: 'Put the whole PEM text of the authority there, or leave ca out for public authorities.' });
  }
  return parsed;
}

/** The number of the first certificate that can't be read; `null` when all can. */
function firstUnreadable(pem: string): number | null {
  const blocks = pem.split(/(?=-----BEGIN CERTIFICATE-----)/).filter((block) => block.startsWith('-----BEGIN'));
  const at = blocks.findIndex((block) => {
    try {
      return new X509Certificate(block).raw.length === 0;
    } catch {
      return true;
    }
  });
  return at === -1 ? null : at + 1;
}
