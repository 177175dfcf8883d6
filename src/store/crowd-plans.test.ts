import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool } from 'pg';
import type { GrantId, PartId, SessionId, TargetId } from '#domain/id.ts';
import { explainedSql } from '#test/worlds/explained.ts';
import { fillStore } from '#test/worlds/full-store.ts';
import { postgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { catalogue, later } from '#test/worlds/store-world.ts';
import { grantTable } from './grant-table.ts';
import { partTable } from './part-table.ts';
import { sessionTable } from './session-table.ts';
import type { Sql } from './sql.ts';

const GRANTS = 80_000;
const CROWD = 60_000;
/** Of 8 KB, for one row or for a page of them: the indexes over what lives or waits have hundreds here. */
const MOST_PAGES = 120;

interface Scene {
  readonly now: Date;
  readonly target: TargetId;
  /** Active and due; and one that is revoking, its removal claimed. */
  readonly due: GrantId;
  readonly revoking: GrantId;
  /** The latter's. */
  readonly part: PartId;
  readonly session: SessionId;
}

const none = async () => undefined;
const grants = (sql: Sql) => grantTable(sql, none);

/** What is asked for each grant, or each step, while many end at once. */
const QUERIES: Readonly<Record<string, (sql: Sql, scene: Scene) => Promise<unknown>>> = {
  'the first that is due': (sql, s) => grants(sql).lockDue(s.now, 1),
  'the first that is late': (sql, s) => grants(sql).lockOverdue(s.now, s.now, 1),
  'the first that is finished': (sql) => grants(sql).lockFinished(1),
  'what awaits': (sql, s) => grants(sql).awaiting(s.now, s.now),
  'the next instant': (sql, s) => grants(sql).nextInstant(s.now),
  'a grant revoked': (sql, s) => grants(sql).revokeAll([s.due], 'expired', s.now),
  'a grant ended': async (sql, s) => (await partTable(sql).absent(s.part, 1, {})) && grants(sql).endAll([s.revoking], s.now),
  'a grant marked overdue': (sql, s) => grants(sql).markOverdue([s.revoking], s.now),
  'a removal claimed': (sql, s) => partTable(sql).claim({ work: 'withdraw', now: s.now, limit: 1, perTarget: 16, claimMs: 1000 }),
  'a claim kept': (sql, s) => partTable(sql).keepClaims([{ id: s.part, fence: 1 }], s.now),
  'a claim asked about': (sql, s) => partTable(sql).holds(s.part, 1, 'withdraw'),
  'a part planned': (sql, s) => partTable(sql).plan(s.part, 1, { state: 'removing' }),
  'a part tried again': (sql, s) => partTable(sql).retry(s.part, 1, later(s.now, 1000), 'it said no'),
  'a part absent': (sql, s) => partTable(sql).absent(s.part, 1, {}),
  'a part due': (sql, s) => partTable(sql).due(s.part, 'withdraw', s.now),
  'a live object': (sql, s) => partTable(sql).liveObjects([`brevet_${s.due}`]),
  'a session lapses': (sql, s) => sessionTable(sql, s.now).letLapse(s.due, s.part, s.now),
  'a session renewed': (sql, s) => sessionTable(sql, s.now).renew('brk_1', [s.session], 10_000),
  'a session ended': (sql, s) => sessionTable(sql, s.now).endAll([{ id: s.session, reason: 'deadline', statements: 1, bytesIn: 1, bytesOut: 1 }], s.now),
  'sessions counted': (sql, s) => sessionTable(sql, s.now).countLive([s.due]),
};

/**
 * Indexes over what waits are empty almost always, and so they stand in the statistics: PostgreSQL then takes a walk through one for
 * free, also on the day when tens of thousands wait in it.
 */
test('a crowd on the statistics of an idle hour: what concerns one is found without reading the others', { timeout: 300_000 }, async () => {
  await using use = await postgresStoreWorld();
  await use.store.transaction((tx) => catalogue(tx));
  const { pool } = use.db;
  await fillStore(pool, { grants: GRANTS, live: 0, pending: 0, unanalysed: true });
  await pool.query('vacuum (analyze)');
  const scene = await gather(pool);
  const client = await pool.connect();
  const wrong: string[] = [];
  try {
    for (const [what, ask] of Object.entries(QUERIES)) {
      await client.query('begin; set local search_path = pg_catalog');
      await ask(explainedSql(client, ({ plan, pages, outline, statement }) => {
        if (pages > MOST_PAGES) wrong.push(`${what} (${plan} plan): ${pages} pages\n${statement}\n${outline}`);
      }), scene).finally(() => client.query('rollback'));
    }
  } finally {
    client.release();
  }
  assert.ok(wrong.length === 0, wrong.join('\n\n'));
});

/** Of the history's newest, half are active and due with a session each, and half are being taken away, one of them just now. */
async function gather(pool: Pool): Promise<Scene> {
  const client = await pool.connect();
  try {
    await client.query(`begin; set local session_replication_role = replica;
      create temporary table crowd on commit drop as select id, n % 2 = 1 as due from (select id, row_number() over (order by id desc) as n from brevet.grants) g where n <= ${CROWD};
      update brevet.grants g set state = case when due then 'active' else 'revoking' end, end_reason = case when not due then 'expired' end, ended_at = null,
             revoke_due_at = case when not due then now() end, deadline = now() - interval '1 second' from crowd c where c.id = g.id;
      update brevet.grant_parts p set state = case when due then 'present' else 'removing' end, settled = false, work = case when not due then 'withdraw' end,
             due_at = case when not due then now() end from crowd c where c.id = p.grant_id;
      update brevet.sessions s set state = 'active', ended_at = null, end_reason = null, lease_until = now() + interval '10 s' from crowd c where c.id = s.grant_id and due`);
    const { rows } = await client.query<Scene>(
      `select now() + interval '1 second' as now, p.target_id as target, s.grant_id as due, r.id as revoking, p.id as part, s.id as session
         from (select max(id) as id from crowd where not due) r join brevet.grant_parts p on p.grant_id = r.id,
              lateral (select s.id, s.grant_id from brevet.sessions s join crowd c on c.id = s.grant_id where c.due order by s.id desc limit 1) s`);
    await client.query('commit');
    const [scene] = rows;
    if (!scene) throw new Error('nobody came');
    return scene;
  } finally {
    client.release();
  }
}
