import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ROUTES, type Route, type RouteName } from '#contract/routes.ts';
import { signRequest } from '#contract/request-signature.ts';
import type { Problem } from '#contract/problem.ts';
import { done, workload } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';
import { prepareRows, type Call } from '#test/worlds/matrix-rows.ts';

/**
 * Who x what, as text that is committed: a route that is new, and every change in who may, shows as a difference.
 * `UPDATE_MATRIX=1 node test/run.ts authorization-matrix` writes it anew.
 */
const FILE = new URL('authorization-matrix.txt', import.meta.url);
const WHO = ['anonymous', 'requester', 'stranger', 'reviewer', 'administrator', 'workload', 'disabled'] as const;
type Who = (typeof WHO)[number];
type Cells = Readonly<Record<Who, string>>;

test('who may do what is as the committed matrix says', async () => {
  await using world = await brevetWorld();
  const callers = await everybody(world);
  const { routes, more } = await prepareRows(world);
  assert.deepEqual(Object.keys(routes).toSorted(), Object.keys(ROUTES).toSorted(), 'a route without a row in test/worlds/matrix-rows.ts');

  const cells = new Map<string, Cells>();
  for (const [name, make] of [...Object.entries(routes), ...Object.entries(more)]) {
    const row: Partial<Record<Who, string>> = {};
    for (const who of WHO) row[who] = await answerTo(world, await make(), callers[who]);
    cells.set(name, row as Cells);
  }
  for (const name of Object.keys(ROUTES) as RouteName[]) holdsByRule(name, ROUTES[name], cells.get(name) as Cells);

  const made = render(cells);
  if (process.env['UPDATE_MATRIX']) await writeFile(FILE, made);
  assert.equal(made, await readFile(FILE, 'utf8').catch(() => ''), 'UPDATE_MATRIX=1 writes the matrix anew');
});

/** What no update of the text may hide. */
function holdsByRule(name: string, { access }: Route, row: Cells): void {
  if (access === 'public') return;
  assert.deepEqual([row.anonymous, row.disabled], ['401 unauthenticated', '401 unauthenticated'], name);
  if (access === 'person' || access === 'administrator') assert.equal(row.workload, '403 forbidden', name);
  if (access === 'administrator') assert.deepEqual([row.requester, row.stranger, row.reviewer], Array.from({ length: 3 }, () => '403 forbidden'), name);
  assert.ok(Object.values(row).includes('200'), `${name}: nobody may, so the row shows nothing`);
  for (const [who, cell] of Object.entries(row)) assert.doesNotMatch(cell, /^(?:400|5)/, `${name}, ${who}: a call that is valid gets no ${cell}`);
}

async function everybody(world: BrevetWorld): Promise<Readonly<Record<Who, Caller | null>>> {
  const sam = await world.as('sam');
  const [requester, stranger, reviewer] = await Promise.all(['ada', 'lea', 'kim'].map((name) => world.as(name)));
  done(await sam.post('/api/v1/principals', { kind: 'person', name: 'olga', displayName: 'Olga' }));
  const disabled = await world.as('olga');
  done(await sam.post('/api/v1/principals/olga/disable'));
  return { anonymous: null, requester: requester ?? null, stranger: stranger ?? null, reviewer: reviewer ?? null, administrator: sam, workload: await workload(world), disabled };
}

/** The status, and the code of a refusal. Hangs up after the head of a stream. */
async function answerTo(world: BrevetWorld, { method, target, body }: Call, caller: Caller | null): Promise<string> {
  const { hostname, port, host } = new URL(world.address);
  const bytes = body === undefined ? null : Buffer.from(JSON.stringify(body));
  const plain: Record<string, string> = bytes ? { 'content-type': 'application/json', 'content-length': String(bytes.length) } : {};
  const signed = caller ? signRequest({ method, authority: host, target, headers: plain }, bytes, caller, { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) }) : {};
  const sent = httpRequest({ hostname, port, method, path: target, headers: { ...plain, ...signed }, agent: false });
  sent.end(bytes ?? undefined);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  if (response.headers['content-type'] === 'text/event-stream') {
    response.destroy();
    return `${response.statusCode}`;
  }
  const answer = await text(response);
  return response.statusCode === 200 ? '200' : `${response.statusCode} ${(JSON.parse(answer) as Problem).code}`;
}

function render(cells: ReadonlyMap<string, Cells>): string {
  const title = (name: string): string => {
    const route = (ROUTES as Readonly<Record<string, Route>>)[name];
    return route ? `${name} (${route.access})` : name;
  };
  const table = [['', ...WHO], ...[...cells].map(([name, row]) => [title(name), ...WHO.map((who) => row[who])])];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return `${table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')}\n`;
}
