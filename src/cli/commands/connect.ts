import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import { type ConnectInfo, connectInfo, fetchCertificate } from '../session/client-certificate.ts';
import { findGrant, noGrant } from '../session/find-grant.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import type { Grant } from './render-grant.ts';

interface ConnectOptions {
  readonly token?: true;
  readonly certificate?: string;
  readonly env?: true;
  readonly url?: true;
}
/** libpq's names of what to connect with, in the order in which people write them. */
type Settings = Readonly<Record<string, string>>;

export function addConnect(shell: Shell): void {
  shell.leaf<ConnectOptions>(shell.program, {
    use: 'connect <grant-or-name>',
    about: 'Print how to connect with your own tools\nWith --token a secret that works for one connection; with --certificate a key and a short-lived certificate as files.',
    examples: [
      'brevet connect orders-read',
      'brevet connect orders-read --token --url',
      'eval "$(brevet connect orders-read --token --env)" && pg_dump -t orders > orders.sql',
      'brevet connect orders-read --certificate ./orders-cert --env',
    ],
    options: (command) => command
      .option('--token', 'with a one-time secret as the password: shown once, works once')
      .option('--certificate <folder>', 'with a client certificate, written into this folder')
      .option('--env', 'as shell lines that set PGHOST and so on')
      .option('--url', 'as a postgresql:// address'),
    act: connect,
  });
}

async function connect(run: Run, [name = '']: readonly string[], options: ConnectOptions): Promise<void> {
  if (options.token && options.certificate !== undefined) throw new Failure(EXIT.usage, '--token and --certificate are two ways to sign in: take one');
  if (options.env && options.url) throw new Failure(EXIT.usage, '--env and --url are two ways to print: take one');
  const grant = await findGrant(run, name);
  if (!grant) throw await noGrant(run, name);
  const where = connectInfo(grant);
  if (run.json && !options.token && options.certificate === undefined) return run.answer(where, () => '');
  const { settings, until, raw } = await credentials(run, grant, where, options);
  run.answer(raw, () => (options.url ? asUrl(settings) : options.env ? asShell(settings) : asFacts(run, grant, settings, until)));
}

async function credentials(run: Run, grant: Grant, where: ConnectInfo, options: ConnectOptions): Promise<{ settings: Settings; until: string | null; raw: unknown }> {
  const client = await run.client();
  const place = { host: where.host, port: String(where.port), dbname: where.database, user: where.user, sslmode: 'verify-full' };
  if (options.token) {
    const token = await client.call('connectionToken', { params: { id: grant.id } });
    if (/[\p{Cc}\p{Cf}\s]/u.test(token.password + token.user)) throw new Failure(EXIT.internal, 'the server gave a malformed secret');
    return { settings: { ...place, user: token.user, password: token.password, sslrootcert: await keepAuthority(run, token.authority) }, until: token.expiresAt, raw: token };
  }
  if (options.certificate !== undefined) {
    const files = await fetchCertificate(run, grant, resolve(options.certificate));
    const settings = { ...place, sslcert: files.cert, sslkey: files.key, sslrootcert: files.authority };
    return { settings, until: files.notAfter, raw: { ...settings, notAfter: files.notAfter } };
  }
  const { certificate } = await client.call('authority');
  return { settings: { ...place, sslrootcert: await keepAuthority(run, certificate) }, until: null, raw: where };
}

/** The authority's certificate is no secret; tools want it as a file. */
async function keepAuthority(run: Run, pem: string): Promise<string> {
  const path = join(run.folder, 'authority.pem');
  await mkdir(run.folder, { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  await writeFile(path, pem, { mode: 0o600, flag: 'wx' });
  return path;
}

function asUrl({ host = '', port = '', dbname = '', user = '', password, ...rest }: Settings): string {
  const login = encodeURIComponent(user) + (password === undefined ? '' : `:${encodeURIComponent(password)}`);
  const at = host.includes(':') ? `[${host}]` : host;
  return `postgresql://${login}@${at}:${port}/${encodeURIComponent(dbname)}?${new URLSearchParams(rest)}`;
}

const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST', port: 'PGPORT', dbname: 'PGDATABASE', user: 'PGUSER', password: 'PGPASSWORD', sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT', sslcert: 'PGSSLCERT', sslkey: 'PGSSLKEY',
};

function asShell(settings: Settings): string {
  return Object.entries(settings).map(([key, value]) => `export ${VARIABLES[key] ?? key}='${value.replaceAll("'", `'\\''`)}'`).join('\n');
}

function asFacts(run: Run, grant: Grant, settings: Settings, until: string | null): string {
  const secret = settings['password'] !== undefined || settings['sslkey'] !== undefined;
  const notes = secret
    ? [run.paint('live', `● works until ${escape(run.times.both(until ?? ''))}${settings['password'] === undefined ? '' : ', for one connection'}`)]
    : [run.paint('dim', `to sign in: brevet psql ${escape(grant.id)}, or add --token or --certificate FOLDER here`)];
  return [facts(Object.entries(settings), run.paint, run.columns), '', ...notes].join('\n');
}
