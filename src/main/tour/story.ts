import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { issueLinkIn } from '#app/signin/issue-link.ts';
import type { Demo } from '../demo/open-demo.ts';
import type { Seen, Stage } from './stage.ts';

const BREVET = fileURLToPath(new URL('../../../bin/brevet', import.meta.url));
/** The grant's whole life: long enough to look around, short enough to watch it end. */
const LIFE = '20s';

interface Cast {
  readonly stage: Stage;
  readonly demo: Demo;
  readonly data: string;
  /** Runs the command line as somebody. */
  as(name: string, ...args: string[]): Promise<Seen>;
}

export async function tellStory(stage: Stage, demo: Demo, data: string): Promise<void> {
  const cast: Cast = { stage, demo, data, as: (name, ...args) => stage.run(`brevet ${args.map(quoted).join(' ')}`, BREVET, args, envOf(data, name)) };
  await signIn(cast);
  const request = await ask(cast);
  const grant = await decide(cast, request);
  await work(cast);
  const object = `brevet_${grant.slice('grt_'.length)}`;
  stage.observe('while it lives, the account made for it stands on the database', (await rolesOf(demo)).includes(object));
  await untilTheEnd(cast);
  await readBack(cast, grant, object);
  await prove(cast, grant);
}

async function signIn({ stage, demo, data }: Cast): Promise<void> {
  stage.say('Ada is a developer, Kim leads the order team, Sam administers Brevet.');
  stage.say('Each signs in with a one-time link; the private key never leaves their machine.');
  for (const name of ['ada', 'kim', 'sam']) {
    await mkdir(join(data, 'home', name), { recursive: true, mode: 0o700 });
    const { secret } = await demo.server.app.store.transaction((tx) => issueLinkIn(tx, demo.server.identity, name, 'system'));
    const seen = await stage.run(`brevet login '${demo.server.address}/sign-in#bvl_...'`, BREVET, ['login', `${demo.server.address}/sign-in#${secret}`], envOf(data, name));
    stage.observe(`${name} is signed in`, seen.code === 0, seen.stderr);
  }
}

async function ask({ stage, as }: Cast): Promise<string> {
  stage.chapter('Ada asks for exactly what the task needs');
  const reading = await as('ada', 'request', 'orders-read', '--reason', 'look at duplicate invoices', '--ticket', 'SHOP-12', '--for', '15m', '--preview');
  stage.observe('reading, with a ticket, would be approved by policy, which says why', /developers-read-orders/.test(reading.stdout + reading.stderr), reading.stdout + reading.stderr);
  stage.say('But Ada has to change rows. That needs a human.');
  const seen = await as('ada', 'request', 'orders-write', '--reason', 'SHOP-12: set duplicate invoices back to draft', '--ticket', 'SHOP-12', '--for', LIFE);
  const request = /req_[0-9a-z]{26}/.exec(seen.stdout + seen.stderr)?.[0];
  stage.observe('the request waits, and says who may decide', seen.code === 0 && request !== undefined && /kim/.test(seen.stdout), seen.stdout + seen.stderr);
  const tooEarly = await as('ada', 'psql', 'orders', '--', '-c', 'select 1');
  stage.observe('before the decision there is nothing to connect with', tooEarly.code !== 0, tooEarly.stdout);
  return request as string;
}

async function decide({ stage, as, demo, data }: Cast, request: string): Promise<string> {
  stage.chapter('Somebody else decides');
  const own = await as('ada', 'approve', request, '--yes');
  stage.observe('Ada cannot approve her own request', own.code !== 0 && /own request/.test(own.stderr), own.stdout + own.stderr);
  const seen = await as('kim', 'approve', request, '--yes');
  const grant = /grt_[0-9a-z]{26}/.exec(seen.stdout + seen.stderr)?.[0];
  stage.observe('Kim approves exactly the request she saw, by its hash', seen.code === 0 && grant !== undefined, seen.stdout + seen.stderr);
  await until(async () => (await stateOf(demo, grant as string)) === 'active');
  const shown = await stage.run(`brevet show ${grant}`, BREVET, ['show', grant as string], envOf(data, 'ada'));
  stage.observe('the access is real: the account was made, and its rights were read back from the database', /present/.test(shown.stdout), shown.stdout);
  return grant as string;
}

async function work({ stage, as }: Cast): Promise<void> {
  stage.chapter('Ada works with plain psql, and never sees a credential');
  const seen = await as('ada', 'psql', 'orders', '--', '-c', "update shop.orders set state = 'draft' where id in (12, 24, 36)", '-c', 'select id, state from shop.orders where id in (12, 24, 36) order by id');
  stage.observe('the change goes through', /UPDATE 3/.test(seen.stdout), seen.stdout + seen.stderr);
  const beyond = await as('ada', 'psql', 'orders', '--', '-c', 'select * from shop.payment_cards');
  stage.observe('what was not asked for is refused by the database itself', /permission denied/.test(beyond.stderr), beyond.stdout + beyond.stderr);
}

async function untilTheEnd({ stage, as }: Cast): Promise<void> {
  stage.chapter('The deadline comes in the middle of a query');
  const seen = await as('ada', 'psql', 'orders', '--', '-c', "select 'this would take a minute', pg_sleep(60)");
  stage.observe('the session was cut, and says why', seen.code !== 0 && /the granted time is over/.test(seen.stderr), seen.stdout + seen.stderr);
}

async function readBack({ stage, as, demo }: Cast, grant: string, object: string): Promise<void> {
  stage.chapter('Taken away, and read back');
  await until(async () => (await stateOf(demo, grant)) === 'ended');
  stage.observe('the grant ended without anybody doing anything', true);
  stage.observe("the database's own catalogue, asked past Brevet, has no such account", !(await rolesOf(demo)).includes(object));
  const again = await as('ada', 'psql', 'orders', '--', '-c', 'select 1');
  stage.observe('the same command now says how to ask again', again.code !== 0 && /You may ask for/.test(again.stderr), again.stderr);
  const sessions = await as('sam', 'sessions', '--all', '--json');
  const { items } = JSON.parse(sessions.stdout) as { items: { id: string; endReason: string }[] };
  const cut = items.find((one) => one.endReason === 'deadline');
  stage.observe('the sessions stand recorded', cut !== undefined, sessions.stdout);
  const statements = await as('sam', 'statements', cut?.id ?? '');
  stage.observe('with every statement and how it ended', /pg_sleep\(60\)/.test(statements.stdout), statements.stdout + statements.stderr);
}

async function prove({ stage, as, demo, data }: Cast, grant: string): Promise<void> {
  stage.chapter('An outsider checks the log, without Brevet');
  const file = join(data, 'evidence.json');
  await until(async () => await numbered(demo, grant));
  const whole = await as('sam', 'log', 'verify', demo.server.address);
  stage.observe('the whole log hashes to the root that it signed', whole.code === 0, whole.stdout + whole.stderr);
  const bundle = await stage.run(`brevet log evidence ${grant} > evidence.json`, BREVET, ['log', 'evidence', grant], envOf(data, 'sam'), { hide: true });
  await writeFile(file, bundle.stdout);
  const outsider = { PATH: process.env['PATH'], HOME: join(data, 'home', 'outsider'), BREVET_HOME: join(data, 'home', 'outsider') };
  const seen = await stage.run('brevet log verify-grant evidence.json', BREVET, ['log', 'verify-grant', file], outsider);
  stage.observe('from request to verified removal, each entry is proven by the signed tree', seen.code === 0 && /grant\.ended/.test(seen.stdout), seen.stdout + seen.stderr);
  await writeFile(file, (await readFile(file, 'utf8')).replace('grant.ended', 'grant.active'));
  const forged = await stage.run('brevet log verify-grant evidence.json   # one word of it changed', BREVET, ['log', 'verify-grant', file], outsider);
  stage.observe('a changed word is found out', forged.code !== 0, forged.stdout);
}

const envOf = (data: string, name: string): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'], HOME: join(data, 'home', name), BREVET_HOME: join(data, 'home', name), TERM: process.env['TERM'] ?? 'dumb', LANG: 'C.UTF-8', XDG_CACHE_HOME: join(data, 'home', name, 'cache'),
});

const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

async function stateOf({ server }: Demo, id: string): Promise<string> {
  return await server.app.store.transaction(async (tx) => (await tx.grants.byId(id as `grt_${string}`))?.state ?? 'unknown');
}

/** Whether the log's newest checkpoint covers the grant's end. */
async function numbered({ server }: Demo, id: string): Promise<boolean> {
  return await server.app.store.transaction(async (tx) => {
    const { size } = await tx.entries.head();
    const { entries: [last] } = await tx.entries.list({ grant: id as `grt_${string}` }, 1, null);
    return last?.type === 'grant.ended' && last.index !== null && last.index < size;
  });
}

/** Asked as the sample server's own superuser. */
async function rolesOf({ sample }: Demo): Promise<readonly string[]> {
  const client = new pg.Client({ ...sample.server.adminOptions, database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<{ rolname: string }>('select rolname from pg_roles')).rows.map((row) => row.rolname);
  } finally {
    await client.end();
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
