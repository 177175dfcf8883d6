import { readFileSync } from 'node:fs';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { ADMIN } from './sample-database.ts';

/** The demonstration's access as code: what `brevet apply FOLDER` would read from a folder. */
export function demoFiles(targetPort: number): readonly SourceFile[] {
  const policy = (name: string) => ({ path: `policies/${name}`, text: readFileSync(new URL(`./policies/${name}`, import.meta.url), 'utf8') });
  return [{ path: 'world.yaml', text: world(targetPort) }, policy('general.cedar'), policy('orders.cedar')];
}

/** People who sign in, and what each is for in the story. */
export const PEOPLE = ['ada', 'kim', 'sam'] as const;

const world = (port: number) => `# A small shop: who there is, what may be asked for, and who decides.
people:
  ada: { name: Ada Okafor }
  kim: { name: Kim Sato }
  noor: { name: Noor Haddad }
  ines: { name: Ines Marques }
  lea: { name: Lea Vogel }
  sam: { name: Sam Rivera, administrator: true }

workloads:
  report-bot: { name: Nightly report, owner: ada }

groups:
  developers: { title: Developers, members: [ada, kim] }
  order-leads: { title: Leads of the order team, members: [kim, noor] }
  dba: { title: Database administrators, members: [ines] }
  support: { title: Customer support, members: [lea] }

folders:
  shop: { title: The shop }

targets:
  orders:
    type: postgresql
    folder: shop
    config: { host: 127.0.0.1, port: ${port}, database: orders, user: ${ADMIN}, tls: disable }

entitlements:
  orders-read:
    title: Read orders
    folder: shop
    maximum: 1h
    default: 15m
    parts:
      - target: orders
        kind: ephemeral_account
        scope: { database: orders, access: read-only, tables: [shop.customers, shop.orders, shop.order_lines, shop.products] }
    stages:
      - { name: team lead, groups: [order-leads], required: 1 }
    warn: 10s

  orders-write:
    title: Change orders
    folder: shop
    maximum: 1h
    default: 30m
    parts:
      - target: orders
        kind: ephemeral_account
        scope: { database: orders, verbs: [select, insert, update], tables: [shop.orders, shop.order_lines] }
    stages:
      - { name: team lead, groups: [order-leads], required: 1 }

  orders-admin:
    title: Operate the shop's tables with my own account
    folder: shop
    maximum: 1h
    default: 15m
    parts:
      - target: orders
        kind: temporary_elevation
        account: "{name}"
        scope: { roles: [shop_operator] }
    stages:
      - { name: team lead, groups: [order-leads], required: 1 }
      - { name: database administrator, groups: [dba], required: 1 }

  billing-support:
    title: Look up a customer's card
    folder: shop
    maximum: 1h
    default: 10m
    maskLiterals: true
    parts:
      - target: orders
        kind: ephemeral_account
        scope: { database: orders, verbs: [select], columns: { shop.customers: [id, name], shop.payment_cards: [customer_id, last_four] } }
    stages:
      - { name: team lead, groups: [order-leads], required: 1 }
`;
