import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { didYouMean } from '#domain/did-you-mean.ts';
import { explainIssue } from '#domain/explain-issue.ts';
import { Refusal } from '#domain/refusal.ts';

/** A number as YAML or a variable writes it; nothing else becomes one. */
const whole = (least: number, most: number, what: string) =>
  z.preprocess((value) => (typeof value === 'string' && /^\d{1,9}$/.test(value.trim()) ? Number(value) : value), z.int().min(least).max(most)).describe(what);
const port = (usual: number) => whole(0, 65_535, `a port from 0 to 65535, such as ${usual}`).default(usual);
const text = (what: string, fits: (value: string) => boolean = (value) => value.trim() !== '') => z.string().refine(fits).describe(what);
const host = (what: string) => text(what, (value) => isIP(value) !== 0 || /^[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?$/i.test(value));

/**
 * What a server is told: one `brevet.yaml`, each setting overridable by its variable. Read once. `brevet doctor` shows
 * what is in force. A description says what is allowed, with an example: it is what people are told.
 */
const Settings = z.strictObject({
  /** Where the embedded database and the root key live. */
  data: text('a folder, such as /var/lib/brevet').default('data'),
  /** An own PostgreSQL instead of the embedded one: `postgresql://...`. */
  database: text('the address of a PostgreSQL server, such as postgresql://brevet:PASSWORD@db.example:5432/brevet (special characters in the password percent-encoded)', isDatabaseAddress).nullable().default(null),
  http: z.strictObject({ host: host('an address of this machine, such as 127.0.0.1 or 0.0.0.0').default('127.0.0.1'), port: port(8484) }).prefault({}),
  /** How people reach the HTTP side, when that is not `http`: `https://brevet.example`. Several are parted by commas. */
  addresses: text('addresses without a path, parted by commas, such as https://brevet.example', areOrigins).nullable().default(null),
  broker: z
    .strictObject({
      host: host('an address of this machine, such as 127.0.0.1 or 0.0.0.0').default('127.0.0.1'),
      port: port(5484),
      /** How clients reach it; also what its certificate names. */
      name: host('the host name that clients use, such as db.brevet.example').default('localhost'),
      processes: whole(0, 32, 'a number of processes from 0 to 32, such as 2').default(2),
    })
    .prefault({}),
  log: z
    .strictObject({
      origin: text('a name of 1 to 100 lower-case letters, digits, dots, dashes and slashes, such as brevet.example/log', (value) => /^[a-z0-9./-]{1,100}$/.test(value)).default('brevet.local/log'),
      public: z.stringbool().or(z.boolean()).describe('true or false').default(false),
    })
    .prefault({}),
  /** Addresses of proxies whose X-Forwarded-For counts, parted by commas. */
  proxies: z.string().describe('addresses or ranges, parted by commas, such as 10.0.0.5, 10.0.0.0/24').default(''),
  /** Root keys in base64, newest first, instead of the file beside the data. */
  rootKey: text('32 random bytes in base64, such as openssl rand -base64 32 prints').nullable().default(null),
  journal: z.enum(['info', 'warn', 'silent']).describe('one of info, warn, silent').default('info'),
  connections: whole(4, 500, 'a number from 4 to 500, such as 20').default(20),
});
export type Settings = z.infer<typeof Settings>;

/** Each setting's variable, its place in `brevet.yaml`, and what it means: `brevet server --help` and README.md show it. */
export const VARIABLES: Readonly<Record<string, readonly [section: string | null, key: string, meaning: string]>> = {
  BREVET_DATA: [null, 'data', 'folder of the embedded database and the root key'],
  DATABASE_URL: [null, 'database', 'an own PostgreSQL in place of the embedded one: postgresql://..., over a network with ?sslmode=verify-full'],
  BREVET_HTTP_HOST: ['http', 'host', 'address that the API listens on'],
  BREVET_HTTP_PORT: ['http', 'port', 'its port; 0 for any free one'],
  BREVET_ADDRESSES: [null, 'addresses', 'how people reach the API (https://brevet.example), parted by commas'],
  BREVET_BROKER_HOST: ['broker', 'host', 'address that the PostgreSQL broker listens on'],
  BREVET_BROKER_PORT: ['broker', 'port', 'its port; 0 for any free one'],
  BREVET_BROKER_NAME: ['broker', 'name', 'how clients reach the broker; what its certificate names'],
  BREVET_BROKER_PROCESSES: ['broker', 'processes', 'broker processes on that port; 0 for none here'],
  BREVET_LOG_ORIGIN: ['log', 'origin', 'name of the log, for ever: set it before the first start'],
  BREVET_LOG_PUBLIC: ['log', 'public', 'whether anybody may read the log; else whoever is signed in'],
  BREVET_PROXIES: [null, 'proxies', 'proxies whose X-Forwarded-For counts: addresses or ranges, parted by commas'],
  BREVET_ROOT_KEY: [null, 'rootKey', 'root keys in base64, newest first, in place of the file in the data folder'],
  BREVET_JOURNAL: [null, 'journal', 'what the server tells on standard error: info, warn or silent'],
  BREVET_CONNECTIONS: [null, 'connections', 'most connections to the database'],
};

/** @throws Refusal `invalid_configuration` that names the file or variable */
export function readSettings(env: Readonly<Record<string, string | undefined>>, file: string | null): Settings {
  const path = file ?? (existsSync('brevet.yaml') ? 'brevet.yaml' : null);
  const raw = path === null ? {} : readYaml(path);
  for (const [variable, [section, key]] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value === undefined || value === '') continue;
    if (section === null) raw[key] = value;
    // What is no map stays, and is refused below.
    else if (typeof (raw[section] ??= {}) === 'object') (raw[section] as Record<string, unknown>)[key] = value;
  }
  refuseMisspelt(env);
  const parsed = Settings.safeParse(raw);
  if (parsed.success) return { ...parsed.data, data: resolve(parsed.data.data) };
  const [issue] = parsed.error.issues;
  const { path: place, words } = explainIssue(Settings, issue as (typeof parsed.error.issues)[number], raw, ([key]) => key === 'database' || key === 'rootKey');
  const name = place.map(String).join('.');
  const variable = Object.entries(VARIABLES).find(([, [section, key]]) => name === (section === null ? key : `${section}.${key}`))?.[0];
  const byVariable = variable !== undefined && env[variable];
  throw new Refusal('invalid_configuration', `the setting ${byVariable ? variable : name} ${words}`, {
    field: byVariable ? variable : (path ?? name),
    hint: byVariable ? `It is the variable of ${name} in brevet.yaml, and goes before it.` : variable ? `It stands in ${path ?? 'brevet.yaml'}; ${variable} would go before it.` : 'brevet server --help lists all settings.',
  });
}

/** The command line's own variables, which are no settings. */
const OTHERS = ['BREVET_HOME', 'BREVET_SERVER', 'BREVET_DEBUG'];

/** A setting that is silently not heard is worse than a start that does not happen. Names far from all of ours are others'. */
function refuseMisspelt(env: Readonly<Record<string, string | undefined>>): void {
  const known = [...Object.keys(VARIABLES), ...OTHERS];
  for (const name of Object.keys(env)) {
    const near = name.startsWith('BREVET_') && !known.includes(name) ? didYouMean(name, known) : '';
    if (near !== '') throw new Refusal('invalid_configuration', `there is no variable ${name}.${near}`, { field: name, hint: 'brevet server --help lists all settings.' });
  }
}

/** As libpq writes it; the host may be missing where a socket's folder is given: `postgresql://user@/brevet?host=/run`. */
function isDatabaseAddress(value: string): boolean {
  return /^postgres(?:ql)?:\/\//.test(value) && !/\s/.test(value) && URL.canParse(value.replace('@/', '@socket/'));
}

function areOrigins(value: string): boolean {
  const all = value.split(',').map((one) => one.trim()).filter(Boolean);
  return all.length > 0 && all.every((one) => /^https?:\/\/[^/?#@]+\/?$/.test(one) && URL.canParse(one));
}

function readYaml(path: string): Record<string, unknown> {
  try {
    const value: unknown = parse(readFileSync(path, 'utf8'));
    if (value === null || value === undefined) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new Error('it is not a map of settings');
  } catch (error) {
    throw new Refusal('invalid_configuration', `${path} can't be read: ${(error as Error).message.split('\n')[0]}`, { field: path });
  }
}
