import { isIP } from 'node:net';
import { z } from 'zod';
import { encodePublicKey, readPublicKey } from '#contract/ssh/public-key.ts';
import type { JsonObject } from '#domain/json.ts';
import { refuseIssue } from '../refuse-issue.ts';
import { isLogin, isPath } from './names.ts';

/**
 * Where a host is and as whom Brevet administers it: `user` is root, or has sudo for everything without a password. Its private
 * key, or password, is the target's credential, never here.
 */
export interface TargetConfig {
  readonly host: string;
  readonly port: number;
  /** The host's public keys, each as `ssh-ed25519 AAAA...`. Another key is never believed, not the first time either. */
  readonly hostKeys: readonly string[];
  readonly user: string;
  /** The folder in which homes are made. */
  readonly homes: string;
  /** From where the numbers of accounts are taken, in turn. */
  readonly uids: { readonly from: number; readonly to: number };
  /**
   * A folder of root's in which sshd looks for an account's keys (`AuthorizedKeysFile FOLDER/%u`); `null` for `.ssh/authorized_keys`
   * in its home.
   */
  readonly keysFolder: string | null;
}

const host = z
  .string()
  .refine((text) => isIP(text) !== 0 || (text.length <= 253 && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(text)))
  .describe('a host name or an IP address, such as web1.example.com, without port, path or spaces');
const path = z.string().refine(isPath).describe('an absolute path of letters, digits and ._+@-');
const hostKey = z.string().max(4000).transform((line, context) => {
  const key = normalKey(line);
  if (key !== null) return key;
  context.addIssue({ code: 'custom', message: 'it can\'t be read as a public key, or is too weak' });
  return z.NEVER;
}).describe('a public key of the host in one line, such as ssh-ed25519 AAAA...');
/**
 * The default is between what useradd gives to people (to 60000) and what it gives to containers (from 100000), and beside what Debian
 * and systemd have set apart below 65536.
 */
const UIDS = { from: 70_000, to: 79_999 };
const uid = z.int().min(1000).max(2_000_000_000);
const CONFIG = z.strictObject({
  host,
  port: z.int().min(1).max(65_535).describe('a port from 1 to 65535, such as 22').default(22),
  hostKeys: z.array(hostKey).min(1).max(20).describe('at least one public key of the host'),
  user: z.string().refine(isLogin).describe('the name of an account, in lower case'),
  homes: path.default('/home'),
  uids: z.strictObject({ from: uid, to: uid }).refine(({ from, to }) => to - from >= 99, 'must be a hundred numbers or more').default(UIDS),
  keysFolder: path.nullable().default(null),
});

/** A configuration that was applied: what was good once is read for ever, or a removal would fail on a new rule. */
export function readConfig(config: unknown): TargetConfig & JsonObject {
  const parsed = CONFIG.safeParse(config);
  if (!parsed.success) throw refuseIssue(CONFIG, parsed.error, config, 'the target\'s configuration');
  return parsed.data;
}

/** Without the comment; `null` for what is no key. */
function normalKey(line: string): string | null {
  const [type = '', base64 = ''] = line.trim().split(/\s+/);
  try {
    const blob = Buffer.from(base64, 'base64');
    const key = readPublicKey(blob);
    return key.type === type && encodePublicKey(key.key).equals(blob) ? `${type} ${blob.toString('base64')}` : null;
  } catch {
    return null;
  }
}
