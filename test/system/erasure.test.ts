/** G07: what names or describes somebody is gone from the whole database, and everything that was proven still is. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { verifyGrant } from '#log/evidence.ts';
import { approve, ask, envFor, eventually, must, psql } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import { CliWorld } from '#test/worlds/cli-world.ts';

type Grant = Answer<'grant'>;
/** Each stands somewhere before, and nowhere after. */
const WORDS = { name: /\bada\b/i, reason: /secret-reason/, ticket: /SECRET-TICKET/, review: /secret-review/, denial: /secret-denial/, statement: /secret-statement/, label: /secret-label/ };

/** Every row of every table as text. Policies are code and name whom they name. */
async function everything(world: BrevetWorld): Promise<ReadonlyMap<string, string>> {
  const { pool } = world.database;
  const { rows } = await pool.query<{ name: string }>("select table_name as name from information_schema.tables where table_schema = 'brevet' and table_name <> 'policy_versions'");
  const found = new Map<string, string>();
  for (const { name } of rows) {
    const { rows: all } = await pool.query<{ text: string }>(`select coalesce(string_agg(to_jsonb(t)::text, E'\\n'), '') as text from brevet.${name} t`);
    found.set(name, all[0]?.text ?? '');
  }
  return found;
}
const holding = (tables: ReadonlyMap<string, string>, word: RegExp) => [...tables].filter(([, text]) => word.test(text)).map(([name]) => name).sort();

/** A grant that was used and given back, one raised account, a denied request: all with words that only she or about her wrote. */
async function live(world: BrevetWorld): Promise<{ used: Grant; session: string; requests: readonly string[] }> {
  const [ada, kim, ines] = [await world.as('ada'), await world.as('kim'), await world.as('ines')];
  const words = { reason: 'secret-reason', ticket: 'SECRET-TICKET-1', duration: 600 };
  const asked = await ask(ada, 'orders-write', words);
  const used = await world.until('ada', (await approve(kim, asked, { reason: 'secret-review' })).grant ?? '', 'active');
  assert.equal(await psql(await envFor(world, 'ada', used.id), "select 'secret-statement'"), 'secret-statement');
  const raised = await ask(ada, 'orders-admin', words);
  await approve(kim, raised, { reason: 'secret-review' });
  const admin = await world.until('ada', (await approve(ines, raised)).grant ?? '', 'active');
  const denied = await ask(ada, 'orders-write', words);
  await must(kim.post(`/api/v1/requests/${denied.id}/reviews`, { decision: 'deny', hash: denied.hash, reason: 'secret-denial' }));
  await must(ada.post(`/api/v1/grants/${admin.id}/finish`));
  await world.until('ada', admin.id, 'ended', 20_000);
  const { items } = await must(ada.get<Answer<'sessions'>>(`/api/v1/sessions?grant=${used.id}`));
  return { used, session: items[0]?.id ?? '', requests: [asked.id, raised.id, denied.id] };
}

test('G07 erasing somebody leaves ids, instants and proofs, and nothing that names or describes them', { timeout: 120_000 }, async () => {
  await using world = await brevetWorld({ env: { BREVET_LOG_PUBLIC: 'true' } });
  const sam = await world.as('sam');
  const { used, session, requests } = await live(world);
  await world.database.pool.query("update brevet.keys set label = 'secret-label' where id = $1", [(await world.as('ada')).keyId]);
  const erase = (name = 'ada') => sam.post(`/api/v1/principals/${name}/erase`);

  assert.match((await erase()).problem?.hint ?? '', /brevet people disable ada/);
  await must(sam.post('/api/v1/principals/report-bot/disable'));
  await must(sam.post('/api/v1/principals/ada/disable'));
  const early = await erase();
  if (early.problem) assert.match(early.problem.detail, /not everything of theirs is over: 1 grants/);
  else assert.fail('it was erased while the removal was under way');
  await eventually('the removal', 20_000, async () => (await must(sam.get<Grant>(`/api/v1/grants/${used.id}`))).state === 'ended');
  const bundleBefore = JSON.stringify(await must(sam.get(`/api/v1/grants/${used.id}/evidence`)));
  const before = await everything(world);
  for (const [what, word] of Object.entries(WORDS)) if (what !== 'statement') assert.notDeepEqual(holding(before, word), [], what);
  assert.equal((await sam.get(`/api/v1/sessions/${session}/recording`)).status, 200);

  await must(erase());
  await must(erase()); // Again, by the name that is gone.
  const after = await everything(world);
  // The evidence of a raised account names it as the target does: an entry of the log is what it is.
  const naming = await world.database.pool.query<{ type: string }>("select distinct type from brevet.log_entries where body ~* '\\mada\\M' order by 1");
  assert.deepEqual(naming.rows.map(({ type }) => type), ['grant.part_present']);
  for (const [what, word] of Object.entries(WORDS)) assert.deepEqual(holding(after, word), what === 'name' ? ['log_entries'] : [], what);
  const id = used.principal.id;
  const pseudonym = `erased-${id.slice(4)}`;
  const { rows } = await world.database.pool.query(
    `select (select count(*)::int from brevet.recording_chunks where session_id = $1 and sealed is null) as destroyed,
            (select hash from brevet.recording_chunks where session_id = $1 order by seq desc limit 1) = (select recording_root from brevet.sessions where id = $1) as rooted,
            (select client_address from brevet.sessions where id = $1) as address,
            (select count(*)::int from brevet.log_entries where type = 'principal.erased') as entries,
            (select sealed is null from brevet.subject_keys where principal_id = $2) as keyless`, [session, id]);
  assert.deepEqual({ ...rows[0], destroyed: rows[0].destroyed > 0 }, { destroyed: true, rooted: true, address: 'erased', entries: 1, keyless: true });

  // Nothing that reads them fails on the hash that no longer matches.
  for (const request of requests) {
    const { body } = await sam.get<Answer<'request'>>(`/api/v1/requests/${request}`);
    assert.deepEqual([body.principal.name, body.reason, body.ticket, body.decisionReason, body.reviews.map(({ reason }) => reason)].flat(), [pseudonym, '[erased]', null, null, ...body.reviews.map(() => null)]);
    assert.ok(body.erasedAt !== null && body.hash.length === 64);
  }
  assert.equal((await sam.get<Grant>(`/api/v1/grants/${used.id}`)).body.reason, '[erased]');
  for (const path of ['requests?view=all', 'grants?view=all', 'sessions?view=all', 'principals', 'log/entries']) assert.equal((await sam.get(`/api/v1/${path}`)).status, 200, path);
  const gone = await sam.get(`/api/v1/sessions/${session}/recording`);
  assert.deepEqual([gone.status, gone.problem?.code], [409, 'wrong_state']);

  // A07: nobody comes to be her by her name, and she does not come back.
  const add = (name: string) => sam.post('/api/v1/principals', { kind: 'person', name, displayName: 'Somebody', administrator: false });
  assert.deepEqual([(await add('ada')).problem?.code, (await add('erased-x')).problem?.code], ['already_exists', 'invalid_input']);
  assert.equal((await sam.post(`/api/v1/principals/${pseudonym}/enable`)).problem?.code, 'wrong_state');
  assert.equal((await (await world.as('ada')).get('/api/v1/me')).status, 401);
  await assert.rejects(world.database.pool.query("update brevet.requests set reason = 'another' where id = $1", [requests[0]]), /already approved/);
  await assert.rejects(world.database.pool.query("update brevet.reviews set reason = 'another' where request_id = $1", [requests[0]]), /final/);

  await stillProven(world, used.id, bundleBefore);
});

/** Offline, by the command: the log, and the grant's evidence as it was and as it is made now. */
async function stillProven(world: BrevetWorld, grant: string, bundleBefore: string): Promise<void> {
  const sam = await world.as('sam');
  const head = await must(sam.get<Answer<'logHead'>>('/api/v1/log'));
  await using cli = await CliWorld.make();
  const verified = await cli.run(['log', 'verify', world.address, '--key', head.verifier]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const bundle = JSON.stringify(await must(sam.get(`/api/v1/grants/${grant}/evidence`)));
  for (const [at, text] of [bundleBefore, bundle].entries()) {
    const report = verifyGrant(Buffer.from(text), { vkey: head.verifier, grant });
    assert.deepEqual([report.ok, report.findings], [true, []]);
    const file = join(cli.folder, `evidence-${at}.json`);
    await writeFile(file, text);
    assert.equal((await cli.run(['log', 'verify-grant', file, '--key', head.verifier])).code, 0);
  }
}
