import pg from 'pg';
import { startEmbedded, type EmbeddedStore } from '#store/embedded/start-embedded.ts';
import type { Children, Journal, Random } from '#app/ports/runtime.ts';

/** The sample target: a PostgreSQL server of its own on loopback, with a shop's database that looks lived in. */
export interface SampleDatabase {
  readonly port: number;
  /** Of `brevet_admin`, with which Brevet administers it. */
  readonly password: string;
  readonly server: EmbeddedStore;
}

/** Brevet's administrator on the target: no superuser; it owns the shop's database and may make and end roles. */
export const ADMIN = 'brevet_admin';

export async function openSampleDatabase(options: { folder: string; port: number; runtimeFolders: readonly string[]; random: Random; journal: Journal; children: Children }): Promise<SampleDatabase> {
  const { folder, port, runtimeFolders, random, journal, children } = options;
  const server = await startEmbedded({
    dataFolder: folder, runtimeFolders, random, journal, children,
    tcp: { address: '127.0.0.1', port },
  });
  const password = Buffer.from(random.bytes(24)).toString('base64url');
  await fillSampleDatabase({ ...server.adminOptions, database: 'postgres', tcp: { host: '127.0.0.1', port } }, password);
  return { port, password, server };
}

/** Makes the shop on any PostgreSQL server, once; `superuser` may do so, and \`password\` becomes that of \`brevet_admin\`. */
export async function fillSampleDatabase(superuser: pg.ClientConfig & { readonly tcp?: { readonly host: string; readonly port: number } }, password: string): Promise<void> {
  const { tcp, ...options } = superuser;
  await withClient({ ...options, database: 'postgres' }, async (client) => {
    const made = await client.query('select 1 from pg_roles where rolname = $1', [ADMIN]);
    if (made.rowCount === 0) await client.query(`create role ${ADMIN} login createrole connection limit 40`);
    await client.query(`alter role ${ADMIN} password '${password}'`);
    await client.query(`grant pg_signal_backend, pg_monitor to ${ADMIN}`);
    const exists = await client.query("select 1 from pg_database where datname = 'orders'");
    if (exists.rowCount === 0) await client.query(`create database orders owner ${ADMIN}`);
    await client.query('revoke connect on database orders from public');
  });
  await withClient({ ...options, ...tcp, user: ADMIN, password, database: 'orders' }, async (client) => {
    const filled = await client.query("select to_regclass('shop.orders') as shop");
    if (filled.rows[0]?.shop === null) await client.query(SHOP);
  });
}

async function withClient(options: pg.ClientConfig, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(options);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Made from numbers alone, so that every demonstration shows the same rows. */
const SHOP = `
begin;
create schema shop;
create table shop.customers (id int primary key, name text not null, email text not null, city text not null, since date not null);
create table shop.products (id int primary key, title text not null, price numeric(8,2) not null, stock int not null);
create table shop.orders (id int primary key, customer_id int not null references shop.customers, placed_at timestamptz not null, state text not null);
create table shop.order_lines (order_id int not null references shop.orders, line int not null, product_id int not null references shop.products,
  quantity int not null, price numeric(8,2) not null, primary key (order_id, line));
create table shop.payment_cards (customer_id int primary key references shop.customers, last_four text not null, token text not null);

insert into shop.customers select n,
  (array['Noor','Jonas','Ines','Mateo','Aiko','Lena','Omar','Sofia','Tomas','Priya','Elif','Hugo'])[1 + n % 12] || ' ' ||
  (array['Haddad','Berg','Costa','Rossi','Tanaka','Vogel','Aziz','Novak','Lind','Rao','Demir'])[1 + n * 7 % 11],
  'customer' || n || '@example.com',
  (array['Lisbon','Hamburg','Kyoto','Turin','Pune','Izmir','Ghent','Oslo'])[1 + n * 5 % 8], date '2021-01-01' + n * 3 % 1700
  from generate_series(1, 400) n;
insert into shop.products select n,
  (array['Walnut','Steel','Linen','Copper','Oak','Glass','Wool','Stone'])[1 + n % 8] || ' ' ||
  (array['lamp','stool','kettle','blanket','shelf','vase','clock'])[1 + n * 3 % 7], 9.9 + n * 37 % 240, n * 13 % 90
  from generate_series(1, 60) n;
insert into shop.orders select n, 1 + n * 17 % 400, timestamptz '2026-01-05 08:00Z' + n * interval '83 minutes',
  (array['paid','paid','shipped','shipped','shipped','returned','draft'])[1 + n * 11 % 7] from generate_series(1, 5000) n;
insert into shop.order_lines select o.id, l, 1 + (o.id * 7 + l * 19) % 60, 1 + (o.id + l) % 4, p.price
  from shop.orders o cross join generate_series(1, 3) l join shop.products p on p.id = 1 + (o.id * 7 + l * 19) % 60;
insert into shop.payment_cards select id, lpad((id * 7919 % 10000)::text, 4, '0'), md5('card' || id) from shop.customers;

create role shop_operator nologin;
grant usage on schema shop to shop_operator;
grant select, insert, update, delete on all tables in schema shop to shop_operator;
create role ada login password null;
grant connect on database orders to ada;
grant usage on schema shop to ada;
grant select on shop.products to ada;
commit;
`;
