/** A PostgreSQL server as a target: a database `orders` with two schemas, a few roles, and the connector to test. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { Connector, PartPlan, TargetAccess } from '#app/ports/connector.ts';
import { postgresConnector } from '#connectors/postgres/connector.ts';
import type { Timeouts } from '#connectors/postgres/connect.ts';
import { makeId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import { debianBin, startTestServer, type TestServer, type TestServerOptions } from './postgres-server.ts';

const WORLD = `
create schema sales; create schema hr;
create table sales.orders (id serial primary key, customer text not null, total int not null default 0);
create table sales.lines (id int generated always as identity primary key, orders int, what text);
create view sales.big_orders as select * from sales.orders where total > 100;
create table hr.people (id int primary key, name text, salary int);
insert into sales.orders (customer, total) select 'customer ' || n, n from generate_series(1, 200) n;
insert into hr.people values (1, 'Ada', 100), (2, 'Bob', 90);
create function sales.close_month(month int) returns int language sql as 'select month';
create function sales.close_month(month text) returns text language sql as 'select month';
revoke execute on all functions in schema sales from public;
create table hr.secrets (word text); insert into hr.secrets values ('hush');
`;

export interface PostgresTarget extends AsyncDisposable {
  readonly server: TestServer;
  readonly connector: Connector;
  /** The connector of another Brevet that administers this server. */
  connectorOf(installation: string): Connector;
  readonly target: TargetAccess;
  /** A plan of a new grant, due in an hour. */
  plan(scope: JsonObject, more?: Partial<PartPlan>): PartPlan;
  /** Runs SQL in `orders` as the superuser. */
  sql(text: string, values?: unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** An open session in `orders`; its loss is noted in `lost`. */
  session(user: string, password: string): Promise<OpenSession>;
  /** Runs the real `psql` in `orders`; answers what it printed, or its error text. */
  psql(user: string, password: string, command: string): Promise<{ ok: boolean; text: string }>;
  /**
   * What stands in the catalogues about roles, memberships and privileges: equal before and after says nothing was left. The
   * role that inherits what sessions made is no trace of them (docs/decisions/0016).
   */
  fingerprint(): Promise<string>;
}

export interface OpenSession extends AsyncDisposable {
  readonly client: Client;
  readonly lost: Promise<string>;
  query(text: string): Promise<readonly Record<string, unknown>[]>;
}

export const yes = () => Promise.resolve(true);

export async function startPostgresTarget(options: TestServerOptions & { timeouts?: Partial<Timeouts>; admin?: 'superuser' | 'createrole' } = {}): Promise<PostgresTarget> {
  const server = await startTestServer(options);
  const psqlBin = join(await debianBin(), 'psql');
  await server.query('create database orders');
  const sql: PostgresTarget['sql'] = async (text, values) => (await server.query(text, values, 'orders')).rows as Record<string, unknown>[];
  await sql(WORLD);
  let [user, credential] = [server.user, server.password];
  if (options.admin === 'createrole') {
    [user, credential] = ['brevet_admin', 'admin-of-the-target'];
    await sql(`create role brevet_admin login createrole password '${credential}';
      alter database orders owner to brevet_admin; alter schema sales owner to brevet_admin; alter schema hr owner to brevet_admin`);
    await sql(`do $$ declare t text; begin
      for t in select c.oid::regclass from pg_class c join pg_namespace n on n.oid = relnamespace where nspname in ('sales', 'hr') and relkind in ('r', 'v')
      loop execute format('alter table %s owner to brevet_admin', t); end loop;
      for t in select oid::regprocedure from pg_proc where pronamespace = 'sales'::regnamespace loop execute format('alter routine %s owner to brevet_admin', t); end loop; end $$`);
  }
  const connectorOf = (installation: string) =>
    postgresConnector({ installation, random: (n) => randomBytes(n), now: () => new Date(), timeouts: { lock: 1500, sessions: 3000, ...options.timeouts } });
  const connector = connectorOf('0123456789abcdef');
  const target: TargetAccess = {
    id: makeId('target', Date.now(), randomBytes(10)), name: 'orders-db', credential,
    config: connector.parseConfig({ host: server.host, port: server.port, user, tls: 'disable' }),
  };
  return {
    server, connector, connectorOf, target, sql,
    plan(scope, more = {}) {
      const grant = makeId('grant', Date.now(), randomBytes(10));
      const kind = more.kind ?? 'ephemeral_account';
      return {
        grant, part: makeId('part', Date.now(), randomBytes(10)), target, kind, objectName: `brevet_${grant.slice(4)}`, account: null, accountCredential: null,
        deadline: new Date(Date.now() + 3_600_000), fence: 1, prior: null, ...more, scope: connector.parseScope(kind, scope),
      };
    },
    session: (user, password) => openSession(server, user, password),
    async psql(user, password, command) {
      const args = ['-X', '-At', '-h', server.host, '-p', String(server.port), '-U', user, '-d', 'orders', '-v', 'ON_ERROR_STOP=1', '-c', command];
      try {
        const { stdout } = await promisify(execFile)(psqlBin, args, { env: { PGPASSWORD: password, PGCONNECT_TIMEOUT: '5' } });
        return { ok: true, text: stdout.trim() };
      } catch (error) {
        return { ok: false, text: String((error as { stderr?: string }).stderr).trim() };
      }
    },
    async fingerprint() {
      const rows = await sql(`
        select 'role ' || rolname || ' ' || rolcanlogin || coalesce(rolvaliduntil::text, '') || rolconnlimit || coalesce(array_to_string(rolconfig, ','), '') as x from pg_roles where rolname !~ '^brevet_estate_'
        union all select 'member ' || (to_jsonb(m) - 'oid')::text from pg_auth_members m where roleid::regrole::text !~ '^brevet_estate_'
        union all select 'acl ' || c.oid::regclass || ' ' || (select string_agg(a::text, ',' order by a::text) from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a) from pg_class c where c.relnamespace in ('sales'::regnamespace, 'hr'::regnamespace) and relkind <> 'S'
        union all select 'column ' || attrelid::regclass || attname || attacl::text from pg_attribute where attacl::text <> '{}' and attrelid > 16384
        union all select 'schema ' || nspname || ' ' || coalesce((select string_agg(a::text, ',' order by a::text) from aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a), '') from pg_namespace
        union all select 'database ' || datname || (select string_agg(a::text, ',' order by a::text) from aclexplode(coalesce(datacl, acldefault('d', datdba))) a) from pg_database
        union all select 'routine ' || oid::regprocedure || proowner::regrole || coalesce((select string_agg(a::text, ',' order by a::text) from aclexplode(coalesce(proacl, acldefault('f', proowner))) a), '') from pg_proc where oid > 16384
        union all select 'depends ' || count(*)::text from pg_shdepend where deptype <> 'o' and refobjid > 16384
          and not (classid = 'pg_auth_members'::regclass and objid::text in (select to_jsonb(m) ->> 'oid' from pg_auth_members m where roleid::regrole::text ~ '^brevet_estate_')) order by 1`);
      return rows.map(({ x }) => x).join('\n');
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function openSession(server: TestServer, user: string, password: string): Promise<OpenSession> {
  const client = new Client({ host: server.host, port: server.port, database: 'orders', user, password });
  const lost = new Promise<string>((resolve) => {
    client.on('error', (error) => resolve(error.message));
    client.on('end', () => resolve('ended'));
  });
  await client.connect();
  return {
    client, lost,
    query: async (text) => (await client.query(text)).rows as Record<string, unknown>[],
    async [Symbol.asyncDispose]() {
      await client.end().catch(() => undefined);
    },
  };
}
