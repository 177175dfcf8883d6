import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { Refusal } from '#domain/refusal.ts';

/**
 * What a server is told: one `brevet.yaml`, each setting overridable by its variable. Read once. `brevet doctor` shows
 * what is in force.
 */
const Port = z.coerce.number().int().min(0).max(65_535);
const Settings = z.strictObject({
  /** Where the embedded database and the root key live. */
  data: z.string().default('data'),
  /** An own PostgreSQL instead of the embedded one: `postgresql://...`. */
  database: z.string().nullable().default(null),
  http: z.strictObject({ host: z.string().default('127.0.0.1'), port: Port.default(8484) }).prefault({}),
  /** How people reach the HTTP side, when that is not `http`: `https://brevet.example`. Several are parted by commas. */
  addresses: z.string().nullable().default(null),
  broker: z
    .strictObject({
      host: z.string().default('127.0.0.1'),
      port: Port.default(5484),
      /** How clients reach it; also what its certificate names. */
      name: z.string().default('localhost'),
      processes: z.coerce.number().int().min(0).max(32).default(2),
    })
    .prefault({}),
  log: z.strictObject({ origin: z.string().regex(/^[a-z0-9./-]{1,100}$/).default('brevet.local/log'), public: z.stringbool().or(z.boolean()).default(false) }).prefault({}),
  /** Addresses of proxies whose X-Forwarded-For counts, parted by commas. */
  proxies: z.string().default(''),
  /** Root keys in base64, newest first, instead of the file beside the data. */
  rootKey: z.string().nullable().default(null),
  journal: z.enum(['info', 'warn', 'silent']).default('info'),
  connections: z.coerce.number().int().min(4).max(500).default(20),
});
export type Settings = z.infer<typeof Settings>;

/** Each setting's variable, its place in `brevet.yaml`, and what it means: `brevet server --help` and README.md show it. */
export const VARIABLES: Readonly<Record<string, readonly [section: string | null, key: string, meaning: string]>> = {
  BREVET_DATA: [null, 'data', 'folder of the embedded database and the root key'],
  DATABASE_URL: [null, 'database', 'an own PostgreSQL in place of the embedded one: postgresql://...'],
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
    const place = section === null ? raw : ((raw[section] ??= {}) as Record<string, unknown>);
    place[key] = value;
  }
  const parsed = Settings.safeParse(raw);
  if (parsed.success) return { ...parsed.data, data: resolve(parsed.data.data) };
  const [issue] = parsed.error.issues;
  const [section, key] = (issue?.path ?? []).map(String);
  const variable = Object.entries(VARIABLES).find(([, [s, k]]) => (s === null ? k === section : s === section && k === key))?.[0];
  const field = (issue?.path ?? []).map(String).join('.');
  throw new Refusal('invalid_configuration', `${field ? `the setting ${field}` : (path ?? 'the settings')} is wrong: ${issue?.message ?? 'unreadable'}`, {
    field: path ?? variable ?? field,
    hint: variable ? `Set it in brevet.yaml or by ${variable}.` : 'See brevet server --help.',
  });
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
