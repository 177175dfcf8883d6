import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ClientConfig } from 'pg';
import { Refusal } from '#domain/refusal.ts';

/** Where the store's own PostgreSQL is, as the driver wants it. */
export interface StoreAddress {
  readonly connection: Readonly<Pick<ClientConfig, 'connectionString' | 'ssl'>>;
  /** For `brevet doctor`: how the way there is protected. */
  readonly protection: string;
  /** Whether what is stored, sealed or not, goes over a network that anybody on the way may read and change. */
  readonly exposed: boolean;
}

/** What of TLS may stand behind the `?`. The rest of the parameters is the driver's. */
const TLS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const;
/** The driver's own switches would undo what is decided here. */
const UNREAD = /^(?:ssl.*|uselibpqcompat)$/;

/**
 * Reads `DATABASE_URL`. TLS is all or nothing here, and does not depend on what the driver's next version makes of libpq's
 * words: `prefer` and `require` are read as `verify-full`, because the store decides who gets what, and whoever stands between
 * could do so instead. `verify-ca` leaves out the host's name, for a private authority alone.
 * @throws Refusal `invalid_configuration`
 */
export function readStoreAddress(url: string): StoreAddress {
  const [base = '', query = ''] = url.split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const tls: Partial<Record<(typeof TLS)[number], string>> = {};
  for (const name of TLS) {
    const value = parameters.get(name);
    if (value !== null && value !== '') tls[name] = value;
    parameters.delete(name);
  }
  const unread = [...parameters.keys()].find((name) => UNREAD.test(name));
  if (unread !== undefined) throw wrong(`has the parameter ${unread}, which Brevet does not read`, 'Say sslmode=verify-full, with sslrootcert=FILE where the authority is your own.');
  const rest = parameters.toString();
  const connectionString = rest === '' ? base : `${base}?${rest}`;
  const mode = tls.sslmode ?? (tls.sslrootcert === undefined ? 'disable' : 'verify-full');
  if (mode === 'disable') {
    if (tls.sslrootcert !== undefined) throw wrong('has an sslrootcert, and with sslmode=disable nothing is checked by it', 'Say sslmode=verify-full, or leave it out.');
    const exposed = !isHere(base, parameters);
    return { connection: { connectionString, ssl: false }, protection: exposed ? 'in clear text' : 'on this machine', exposed };
  }
  if (mode === 'verify-ca' && (tls.sslrootcert ?? 'system') === 'system') throw wrong('has sslmode=verify-ca without an authority of its own', 'Any host with a certificate of a public authority would do. Give yours: sslrootcert=FILE.');
  if (!['prefer', 'require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw wrong(`has sslmode=${mode.slice(0, 40)}, which Brevet does not know`, 'One of disable, require, verify-ca, verify-full. A certificate of your own making is given as sslrootcert=FILE.');
  }
  return { connection: { connectionString, ssl: materialOf(tls, mode) }, protection: `over TLS, ${mode === 'verify-ca' ? 'its authority' : 'its certificate and name'} checked`, exposed: false };
}

function materialOf({ sslrootcert, sslcert, sslkey }: Readonly<Record<string, string | undefined>>, mode: string): Exclude<ClientConfig['ssl'], boolean | undefined> {
  const ca = sslrootcert === undefined || sslrootcert === 'system' ? {} : { ca: readAuthority(sslrootcert) };
  const own = { ...(sslcert === undefined ? {} : { cert: readPem('sslcert', sslcert) }), ...(sslkey === undefined ? {} : { key: readPem('sslkey', sslkey) }) };
  return { rejectUnauthorized: true, ...ca, ...own, ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}) };
}

function readAuthority(path: string): string {
  const pem = readPem('sslrootcert', path);
  try {
    return new X509Certificate(pem).raw.length > 0 ? pem : '';
  } catch {
    throw wrong(`names ${path} as sslrootcert, which holds no X.509 certificate`, 'It is the certificate of the authority that signed the server\'s, in PEM.');
  }
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw wrong(`names ${path} as ${name}, which can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`, 'Give a file that the server may read; its path is taken from where Brevet starts.');
  }
}

/** A socket's folder, or a loopback address. Of `postgresql://user@/brevet?host=/run` the host stands behind the `?`. */
function isHere(base: string, parameters: URLSearchParams): boolean {
  const named = /^[a-z]+:\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^:/]*)/i.exec(base)?.[1] ?? '';
  const host = decodeURIComponent(parameters.get('host') ?? named).replace(/^\[(.*)\]$/, '$1');
  return host === '' || host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function wrong(what: string, hint: string): Refusal {
  return new Refusal('invalid_configuration', `DATABASE_URL ${what}`, { field: 'DATABASE_URL', hint });
}
