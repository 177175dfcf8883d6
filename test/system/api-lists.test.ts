import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import type { SourceFile } from '#app/configuration/read-files.ts';
import type { Answer, RouteName } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { done } from '../worlds/asking.ts';
import { brevetWorld, pg, type BrevetWorld, type Caller } from '../worlds/brevet-world.ts';

/** The lists of the API: in pages, and at the same cost for the store however many rows a page has. */
let world: BrevetWorld;
let [ada, sam] = [] as unknown as [Caller, Caller];
let queries = 0;
const query = pg.Client.prototype.query;

before(async () => {
  world = await brevetWorld({ files: many });
  [ada, sam] = [await world.as('ada'), await world.as('sam')];
  // The server runs in this process. Its reconciler and sequencer ask as well: what is compared is the least of several rounds.
  pg.Client.prototype.query = function counted(this: pg.Client, ...args: never[]) {
    queries += 1;
    return (query as (...args: never[]) => unknown).apply(this, args);
  } as typeof query;
});
after(async () => {
  pg.Client.prototype.query = query;
  await world[Symbol.asyncDispose]();
});

/** The demonstration, with thirty more people, targets and entitlements, each of which developers may ask for. */
function many(port: number): readonly SourceFile[] {
  const more = demoFiles(port).map((file) => {
    if (file.path !== 'world.yaml') return file;
    const files = parse(file.text) as Record<'people' | 'targets' | 'entitlements', Record<string, unknown>> & { groups: { developers: { members: string[] } } };
    const model = files.entitlements['orders-read'] as { parts?: { target: string }[]; target?: string };
    for (let n = 10; n < 40; n++) {
      files.people[`more-${n}`] = { name: `More ${n}` };
      files.groups.developers.members.push(`more-${n}`);
      files.targets[`more-${n}`] = { type: 'postgresql', config: { host: '127.0.0.1', port: 1, database: 'x', user: 'y', tls: 'disable' } };
      files.entitlements[`more-${n}`] = JSON.parse(JSON.stringify(model).replaceAll('"orders"', `"more-${n}"`));
    }
    return { path: file.path, text: stringify(files) };
  });
  return [...more, { path: 'policies/more.cedar', text: '@id("more")\n@reason("developers may ask for all of it")\npermit (principal in Group::"developers", action == Action::"request", resource);\n' }];
}

async function askedFor(who: Caller, path: string): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    queries = 0;
    done(await who.get(path));
    least = Math.min(least, queries);
  }
  return least;
}

test('the lists of the catalogue come in pages by name, each row once', async () => {
  for (const [who, path] of [[sam, '/api/v1/principals'], [sam, '/api/v1/targets'], [ada, '/api/v1/targets'], [ada, '/api/v1/entitlements']] as const) {
    type List = { items: { name: string }[]; next: string | null };
    const whole = done(await who.get<List>(path));
    assert.ok(whole.items.length > 30 && whole.next === null, `${path}: ${whole.items.length}`);
    const names: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: List = done(await who.get<List>(`${path}?limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`));
      assert.ok(page.items.length <= 7);
      names.push(...page.items.map(({ name }) => name));
      cursor = page.next;
    }
    assert.deepEqual(names, whole.items.map(({ name }) => name), path);
    assert.deepEqual(names, names.toSorted());
  }
  assert.equal((await sam.get('/api/v1/principals?limit=101')).status, 400);
  // What a filter can't mean is refused, and not ignored.
  for (const query of ['grants?live=false', 'grants?overdue=false', 'sessions?live=false']) assert.equal((await sam.get(`/api/v1/${query}`)).status, 400, query);
});

test('a list of thirty asks the store as often as a list of three', async () => {
  for (let n = 0; n < 12; n++) await world.grant('ada', 'orders-read', { seconds: 600 });
  for (const n of Array.from({ length: 6 }, (_, at) => at + 10)) done(await (await world.as(`more-${n}`)).post('/api/v1/requests', { entitlement: 'orders-write', reason: 'r', ticket: 'T-1', duration: 600 }));
  const lists: readonly (readonly [Caller, RouteName, string])[] = [
    [sam, 'principals', '/api/v1/principals?'], [sam, 'targets', '/api/v1/targets?'], [ada, 'targets', '/api/v1/targets?'], [ada, 'entitlements', '/api/v1/entitlements?'],
    [ada, 'grants', '/api/v1/grants?'], [sam, 'grants', '/api/v1/grants?view=all&'], [ada, 'requests', '/api/v1/requests?'], [sam, 'requests', '/api/v1/requests?view=all&'],
    [sam, 'logEntries', '/api/v1/log/entries?'],
  ];
  for (const [who, name, path] of lists) {
    const [few, all] = [await askedFor(who, `${path}limit=3`), await askedFor(who, `${path}limit=100`)];
    // Rows of more kinds may need a kind of question more: who owns a workload, say. And the server's own loops ask meanwhile.
    assert.ok(all <= few + 15, `${name} as ${who.name}: ${few} questions for three rows, ${all} for all`);
  }
  const kim = await world.as('kim');
  const list = async (query: string) => done(await kim.get<Answer<'requests'>>(`/api/v1/requests?view=inbox${query}`));
  const whole = (await list('')).items.map(({ id }) => id);
  const first = await list('&limit=4');
  assert.deepEqual([...first.items, ...(await list(`&limit=4&cursor=${first.next}`)).items].map(({ id }) => id), whole.slice(0, 8), 'oldest first, in pages');
  assert.ok(whole.length >= 6);
  const inbox = await askedFor(kim, '/api/v1/requests?view=inbox');
  assert.ok(inbox < 25, `inbox: ${inbox} questions`);
});

test('a recording comes in pages of a bounded size, and nothing of it is lost or shown twice', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 600 });
  // Sixty different statements of some 50 KB, and one that was prepared at the beginning and is executed at the end.
  const columns = Array.from({ length: 1400 }, (_, n) => `null as ${'x'.repeat(20)}_column_${n}`).join(', ');
  const lines = Array.from({ length: 60 }, (_, n) => `select relname as statement_${n}, ${columns} from pg_class limit 0;`);
  const env = await world.clientEnv('ada');
  const file = (name: string) => readFile(env[name] ?? '');
  const client = new pg.Client({
    host: 'localhost', port: world.brokerPort, user: 'ada', database: 'orders', ssl: { ca: await file('PGSSLROOTCERT'), cert: await file('PGSSLCERT'), key: await file('PGSSLKEY') },
  });
  await client.connect();
  const told = { name: 'told', text: 'select relname as first_x from pg_class limit 0' };
  await client.query(told);
  for (const line of lines) await client.query(line);
  await client.query(told);
  await client.end();
  const ended = async () => done(await ada.get<Answer<'sessions'>>(`/api/v1/sessions?grant=${grant.id}`)).items.find((one) => one.state === 'ended');
  let session = await ended();
  for (let n = 0; !session && n < 100; n++, session = await ended()) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(session, 'the newest grant carried it');

  const pages: Answer<'recording'>[] = [];
  for (let cursor: string | null = null; pages.length === 0 || cursor !== null; ) {
    const page: Answer<'recording'> = done(await ada.get<Answer<'recording'>>(`/api/v1/sessions/${session.id}/recording${cursor === null ? '' : `?cursor=${cursor}`}`));
    assert.ok(JSON.stringify(page).length < 2_200_000);
    pages.push(page);
    cursor = page.next;
  }
  assert.ok(pages.length > 1, 'it does not fit into one');
  assert.deepEqual(pages.map(({ complete }) => complete), pages.map((_, at) => at === pages.length - 1));
  const texts = pages.flatMap(({ statements }) => statements.map(({ text }) => text));
  assert.deepEqual(texts.flatMap((text) => /statement_(\d+),/.exec(text)?.[1] ?? []), lines.map((_, n) => String(n)));
  assert.match(texts.at(-1) ?? '', /first_x/, 'prepared on the first page');
  assert.equal((await ada.get(`/api/v1/sessions/${session.id}/recording?cursor=x`)).status, 400);
});
