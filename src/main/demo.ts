/** `npm start`: Brevet with a small demonstration world, and what to try in it. */
import { issueLinkIn } from '#app/signin/issue-link.ts';
import { Refusal } from '#domain/refusal.ts';
import { openDemo, type Demo } from './demo/open-demo.ts';
import { PEOPLE } from './demo/world.ts';
import { readSettings } from './settings.ts';
import { stoppable } from './stopping.ts';

const HELP = `npm start

  Starts Brevet on its embedded store with a demonstration world: a sample
  PostgreSQL database "orders", a few people, entitlements and policies.
  Everything is kept in ./demo-data, apart from what brevet server keeps in
  ./data, and found again at the next start.

Options (after "npm start --"):
  --fresh-links    print new one-time sign-in links for people who have signed in already
  --help           this text

Settings (brevet.yaml, or as variables):
  BREVET_DATA          folder for everything that lasts      (demo-data)
  BREVET_HTTP_PORT     port of the API, on 127.0.0.1         (8484)
  BREVET_BROKER_PORT   port for database clients             (5484)
  DATABASE_URL         use this PostgreSQL as the store

To run Brevet for real, without the demonstration: bin/brevet server
`;

/** Not `data`: there `bin/brevet server` makes a first start of its own, with its administrator's link. */
const FOLDER = 'demo-data';

const bold = (text: string) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const dim = (text: string) => (process.stdout.isTTY ? `\x1b[2m${text}\x1b[0m` : text);

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const unknown = args.find((arg) => arg !== '--fresh-links');
  if (unknown !== undefined) throw new Refusal('invalid_input', `there is no option ${unknown}`, { hint: 'npm start -- --help' });
  const settings = readSettings({ ...process.env, BREVET_DATA: process.env['BREVET_DATA'] || FOLDER, BREVET_JOURNAL: process.env['BREVET_JOURNAL'] ?? 'warn' }, null);
  const stopping = stoppable((text) => process.stdout.write(dim(`  ${text}\n`)));
  const demo = await openDemo(settings, (text) => process.stdout.write(dim(`  ${text} ...\n`)), stopping.children);
  try {
    await tell(demo, settings.data, args.includes('--fresh-links'));
    await stopping.asked;
    process.stdout.write(dim('\n  stopping ...\n'));
  } finally {
    await demo.stop();
  }
  return 0;
}

async function tell({ server }: Demo, data: string, fresh: boolean): Promise<void> {
  const home = (name: string) => `${data}/home/${name}`;
  const say = (text = '') => process.stdout.write(`${text}\n`);
  const links = new Map<string, string>();
  for (const name of PEOPLE) {
    const link = await server.app.store.transaction(async (tx) => {
      const person = await tx.principals.byName(name);
      const keys = person ? await tx.credentials.keysOf(person.id) : [];
      return !fresh && keys.some((key) => key.revokedAt === null) ? null : (await issueLinkIn(tx, server.identity, name, 'system')).secret;
    });
    if (link !== null) links.set(name, `${server.publicAddress}/sign-in#${link}`);
  }
  say();
  say(`  ${bold('Brevet is running')}   API ${server.address}   database clients ${server.brokerPort ?? '-'}   data ${data}`);
  say();
  say(`  In another terminal, three people (each has a home of their own here):`);
  say();
  for (const name of PEOPLE) say(`    ${name}() { BREVET_HOME='${home(name)}' bin/brevet "$@"; }`);
  say();
  for (const [name, link] of links) say(`    ${name} login '${link}'`);
  if (links.size === 0) say(dim('    Everybody has signed in before. New links: npm start -- --fresh-links'));
  say();
  say(`  ${bold('Ada reads orders')}, approved by policy because she names a ticket:`);
  say(`    ada request orders-read --reason "duplicate invoices" --ticket SHOP-12 --for 15m --wait`);
  say(`    ada psql orders -- -c 'select state, count(*) from shop.orders group by 1'`);
  say();
  say(`  ${bold('Ada wants to change them')}, and Kim decides:`);
  say(`    ada request orders-write --reason "set SHOP-12 back to draft" --for 10m`);
  say(`    kim requests --inbox`);
  say(`    kim approve REQUEST`);
  say();
  say(`  ${bold('Take it away, and prove it')}:`);
  say(`    ada grants`);
  say(`    ada finish GRANT`);
  say(`    sam log list && sam log verify ${server.publicAddress}`);
  say();
  say(`  The whole story, unattended: npm run tour        Ctrl-C stops everything.`);
  say();
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`\n  ${error.message}\n${error.details.hint ? `  ${error.details.hint}\n` : ''}`);
  return error.code === 'invalid_input' ? 2 : 1;
});
