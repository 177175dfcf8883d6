import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PoolClient } from 'pg';
import type { GrantId, PrincipalId, RequestId, SessionId, TargetId } from '#domain/id.ts';
import { explainedSql, type Reading } from '#test/worlds/explained.ts';
import { FIRST_ENTRY, fillStore } from '#test/worlds/full-store.ts';
import { postgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { catalogue, later } from '#test/worlds/store-world.ts';
import { credentialTable } from './credential-table.ts';
import { entryTable } from './entry-table.ts';
import { grantTable } from './grant-table.ts';
import { partTable } from './part-table.ts';
import { requestTable } from './request-table.ts';
import { sessionTable } from './session-table.ts';
import type { Sql } from './sql.ts';

const GRANTS = 200_000;

interface Scene {
  readonly now: Date;
  /** A fifth of the history is theirs; and somebody with the usual share. */
  readonly busy: PrincipalId;
  readonly usual: PrincipalId;
  readonly busyTarget: TargetId;
  readonly usualTarget: TargetId;
  readonly grant: GrantId;
  readonly request: RequestId;
  readonly session: SessionId;
  readonly middle: (kind: 'req' | 'grt' | 'ses') => string;
}

type Asked = Readonly<Record<string, (sql: Sql, scene: Scene) => Promise<unknown>>>;
const first = { before: null, limit: 50 };
const none = async () => undefined;

const GRANT_QUERIES: Asked = {};
for (const who of ['busy', 'usual'] as const) {
  const target = `${who}Target` as const;
  Object.assign(GRANT_QUERIES, {
    [`grants of the ${who}`]: (sql, s) => grantTable(sql, none).list({ principal: s[who] }, first),
    [`grants of the ${who}, live`]: (sql, s) => grantTable(sql, none).list({ principal: s[who], live: true }, first),
    [`grants of the ${who}, active`]: (sql, s) => grantTable(sql, none).list({ principal: s[who], state: 'active' }, first),
    [`grants of the ${who}, overdue`]: (sql, s) => grantTable(sql, none).list({ principal: s[who], overdue: true }, first),
    [`grants of the ${who}, from the middle`]: (sql, s) => grantTable(sql, none).list({ principal: s[who] }, { ...first, before: s.middle('grt') }),
    [`grants that concern the ${who}`]: (sql, s) => grantTable(sql, none).list({ concerning: { principals: [s[who], s.usual], behalf: s[who] } }, first),
    [`grants that concern the ${who}, live`]: (sql, s) => grantTable(sql, none).list({ concerning: { principals: [s[who], s.usual], behalf: s[who] }, live: true }, first),
    [`grants that concern the ${who}, from the middle`]: (sql, s) => grantTable(sql, none).list({ concerning: { principals: [s[who]], behalf: s[who] } }, { ...first, before: s.middle('grt') }),
    [`requests that concern the ${who}`]: (sql, s) => requestTable(sql).list({ concerning: { principals: [s[who], s.usual], behalf: s[who] } }, first),
    [`requests that concern the ${who}, pending`]: (sql, s) => requestTable(sql).list({ concerning: { principals: [s[who]], behalf: s[who] }, state: 'pending' }, first),
    [`grants on the ${target}`]: (sql, s) => grantTable(sql, none).list({ target: s[target] }, first),
    [`grants on the ${target}, from the middle`]: (sql, s) => grantTable(sql, none).list({ target: s[target] }, { ...first, before: s.middle('grt') }),
    [`grants on the ${target}, live`]: (sql, s) => grantTable(sql, none).list({ target: s[target], live: true }, first),
    [`grants on the ${target}, overdue`]: (sql, s) => grantTable(sql, none).list({ target: s[target], overdue: true }, first),
    [`grants of the ${who} on their target, active`]: (sql, s) => grantTable(sql, none).list({ principal: s[who], target: s[target], state: 'active' }, first),
    [`grants locked, of the ${who}`]: (sql, s) => grantTable(sql, none).lockLive({ principal: s[who] }),
    [`grants locked, on the ${target}`]: (sql, s) => grantTable(sql, none).lockLive({ target: s[target] }),
    [`grants counted, of the ${who}`]: (sql, s) => grantTable(sql, none).countLive(s[who]),
    [`requests of the ${who}`]: (sql, s) => requestTable(sql).list({ principal: s[who] }, first),
    [`requests of the ${who}, pending`]: (sql, s) => requestTable(sql).list({ principal: s[who], state: 'pending' }, first),
    [`requests of the ${who}, denied`]: (sql, s) => requestTable(sql).list({ principal: s[who], state: 'denied' }, first),
    [`requests counted, of the ${who}`]: (sql, s) => requestTable(sql).countPending(s[who]),
    [`sessions of the ${who}`]: (sql, s) => sessionTable(sql, s.now).list({ principal: s[who] }, first),
    [`sessions of the ${who}, live`]: (sql, s) => sessionTable(sql, s.now).list({ principal: s[who], live: true }, first),
    [`sessions on the ${target}, live`]: (sql, s) => sessionTable(sql, s.now).list({ target: s[target], live: true }, first),
    [`sessions cut on the ${target}`]: (sql, s) => sessionTable(sql, s.now).cut({ target: s[target] }, 'ended_by_admin'),
    [`sessions cut of the ${who}`]: (sql, s) => sessionTable(sql, s.now).cut({ principal: s[who] }, 'ended_by_admin'),
    [`tokens counted, of the ${who}`]: (sql, s) => credentialTable(sql).countTokens(s[who], s.now),
    [`entries about the ${who}`]: (sql, s) => entryTable(sql).list({ principal: s[who] }, 50, null),
    [`credentials revoked, of the ${who}`]: (sql, s) => credentialTable(sql).revokeIssued(s[who], s.now),
  } satisfies Asked);
}

const QUERIES: Asked = {
  ...GRANT_QUERIES,
  'grants, all': (sql) => grantTable(sql, none).list({}, first),
  'grants, live': (sql) => grantTable(sql, none).list({ live: true }, first),
  'grants, live, from the middle': (sql, s) => grantTable(sql, none).list({ live: true }, { ...first, before: s.middle('grt') }),
  'grants, ended': (sql) => grantTable(sql, none).list({ live: false }, first),
  'grants, overdue': (sql) => grantTable(sql, none).list({ overdue: true }, first),
  'grants that start': (sql, s) => grantTable(sql, none).lockStarting(later(s.now, 2 * 86_400_000), 100),
  'grants that are due': (sql, s) => grantTable(sql, none).lockDue(s.now, 100),
  'grants that are stale': (sql, s) => grantTable(sql, none).lockStale(s.now, 100),
  'grants that are late': (sql, s) => grantTable(sql, none).lockOverdue(s.now, s.now, 100),
  'grants that are finished': (sql) => grantTable(sql, none).lockFinished(100),
  'what awaits': (sql, s) => grantTable(sql, none).awaiting(s.now, s.now),
  'the next instant': (sql, s) => grantTable(sql, none).nextInstant(later(s.now, 900_000)),
  'a grant by its request': (sql, s) => grantTable(sql, none).byRequest(s.request),
  'parts of a grant': (sql, s) => partTable(sql).ofGrant(s.grant),
  'parts claimed, withdrawals': (sql, s) => partTable(sql).claim({ work: 'withdraw', now: s.now, limit: 20, perTarget: 4, claimMs: 1000 }),
  'parts claimed, provisioning': (sql, s) => partTable(sql).claim({ work: 'provision', now: s.now, limit: 20, perTarget: 4, claimMs: 1000 }),
  'parts woken': (sql, s) => partTable(sql).wakeTarget(s.busyTarget, s.now),
  'targets to probe': (sql) => partTable(sql).targetsToProbe(),
  'live objects': (sql) => partTable(sql).liveObjects(['brevet_a', 'brevet_b']),
  'requests, all': (sql) => requestTable(sql).list({}, first),
  'requests, pending': (sql) => requestTable(sql).list({ state: 'pending' }, first),
  'requests, denied': (sql) => requestTable(sql).list({ state: 'denied' }, first),
  'requests, approved, from the middle': (sql, s) => requestTable(sql).list({ state: 'approved' }, { ...first, before: s.middle('req') }),
  'requests that expire': (sql, s) => requestTable(sql).lockExpired(s.now, 100),
  'reviews of a request': (sql, s) => requestTable(sql).reviews(s.request),
  'sessions, all': (sql, s) => sessionTable(sql, s.now).list({}, first),
  'sessions, live': (sql, s) => sessionTable(sql, s.now).list({ live: true }, first),
  'sessions, ended': (sql, s) => sessionTable(sql, s.now).list({ live: false }, first),
  'sessions of a grant': (sql, s) => sessionTable(sql, s.now).list({ grant: s.grant }, first),
  'sessions of a grant, live': (sql, s) => sessionTable(sql, s.now).list({ grant: s.grant, live: true }, first),
  'sessions that are lost': (sql, s) => sessionTable(sql, s.now).lockLost(later(s.now, 2 * 86_400_000), 20),
  'sessions renewed': (sql, s) => sessionTable(sql, s.now).renew('brk_1', [s.session], 10_000),
  'a session standing': (sql, s) => sessionTable(sql, s.now).standing([s.session]),
  'a session lapses': (sql, s) => sessionTable(sql, s.now).letLapse(s.grant, 'prt_0', s.now),
  'counts': (sql) => entryTable(sql).counts(),
  'entries, newest': (sql) => entryTable(sql).list({}, 50, null),
  'entries, from the middle': (sql) => entryTable(sql).list({}, 50, { below: FIRST_ENTRY + GRANTS, arrivedBefore: null }),
  'entries of a rare type': (sql) => entryTable(sql).list({ type: 'principal.created' }, 50, null),
  'entries of a type that is not': (sql) => entryTable(sql).list({ type: 'nothing.happened' }, 50, null),
  'entries of a usual type': (sql) => entryTable(sql).list({ type: 'grant.ended' }, 50, { below: FIRST_ENTRY + GRANTS, arrivedBefore: null }),
  'entries of a grant': (sql, s) => entryTable(sql).list({ grant: s.grant }, 50, null),
  'entries of a request': (sql, s) => entryTable(sql).list({ request: s.request }, 50, null),
  'grants with ids': (sql, s) => grantTable(sql, none).withIds([s.grant]),
  'grants of requests': (sql, s) => grantTable(sql, none).ofRequests([s.request]),
  'requests with ids': (sql, s) => requestTable(sql).withIds([s.request]),
  'reviews of requests': (sql, s) => requestTable(sql).reviewsOf([s.request]),
  'parts of grants': (sql, s) => partTable(sql).ofGrants([s.grant]),
  'sessions counted, of grants': (sql, s) => sessionTable(sql, s.now).countLive([s.grant]),
  'a purge of nothing': (sql) => credentialTable(sql).purge(new Date('2020-01-01')),
  'entries from an index': (sql) => entryTable(sql).from(FIRST_ENTRY + GRANTS, 50),
};

const LARGE = new Set(['requests', 'grants', 'grant_parts', 'sessions', 'log_entries', 'certificates', 'connection_tokens', 'recording_chunks']);
/** Of 8 KB. A page of fifty rows is a few hundred looks; the whole of the smallest of these tables is thousands. */
const MOST_PAGES = 1_500;

/** Read sessions or grants as a whole until the tables are analysed for the first time, within minutes: for a rare act. */
const BEFORE_STATISTICS = new Set(['sessions cut on the busyTarget', 'sessions cut on the usualTarget']);
/**
 * Take the commonness of the value to be that of all: a plan without the value would be wrong. The driver sends the values with
 * every statement, and nothing in the store is prepared under a name, so that there is no such plan.
 */
const BY_VALUE = new Set(['requests that concern the busy', 'entries of a rare type', 'entries of a type that is not']);

test('no query reads a history from end to end, with statistics and without', { timeout: 600_000 }, async (t) => {
  await using use = await postgresStoreWorld();
  for (let n = 0; n < 100; n++) await use.store.transaction((tx) => catalogue(tx));
  await fillStore(use.db.pool, { grants: GRANTS, unanalysed: true });
  const scene = await sceneOf(use.db.pool);
  for (const statistics of ['before the tables were ever analysed', 'with statistics']) {
    await t.test(statistics, async () => {
      if (statistics === 'with statistics') await use.db.pool.query('analyze');
      const client = await use.db.pool.connect();
      const wrong: string[] = [];
      try {
        for (const [what, ask] of Object.entries(QUERIES)) {
          if (statistics !== 'with statistics' && BEFORE_STATISTICS.has(what)) continue;
          const readings = await readingsOf(client, ask, scene);
          for (const { plan, pages, whole, outline } of readings) {
            if (plan === 'generic' && BY_VALUE.has(what)) continue;
            if (whole.some((table) => LARGE.has(table)) || pages > MOST_PAGES) wrong.push(`${what} (${plan} plan): ${pages} pages\n${outline}`);
          }
        }
      } finally {
        client.release();
      }
      assert.ok(wrong.length === 0, wrong.join('\n\n'));
    });
  }
});

async function readingsOf(client: PoolClient, ask: (sql: Sql, scene: Scene) => Promise<unknown>, scene: Scene): Promise<readonly Reading[]> {
  const readings: Reading[] = [];
  await client.query('begin; set local search_path = pg_catalog');
  await ask(explainedSql(client, (reading) => readings.push(reading)), scene).finally(() => client.query('rollback'));
  return readings;
}

async function sceneOf(pool: { query: PoolClient['query'] }): Promise<Scene> {
  const { rows } = await pool.query<Omit<Scene, 'middle'>>(
    `select now() as now, p.ids[1] as busy, p.ids[2] as usual, t.busy as "busyTarget", t.usual as "usualTarget", g.id as "grant", g.request_id as request,
            (select id from brevet.sessions where state <> 'ended' order by id desc limit 1) as session
       from (select array_agg(id order by name) as ids from brevet.principals) p,
            (select (array_agg(target_id order by n desc))[1] as busy, (array_agg(target_id order by n))[1] as usual
               from (select target_id, count(*) as n from brevet.grant_parts group by target_id) each) t,
            lateral (select id, request_id from brevet.grants order by id desc limit 1) g`);
  const [row] = rows;
  if (!row) throw new Error('the store is empty');
  const middle = String(Math.floor(GRANTS / 2)).padStart(24, '0');
  return { ...row, middle: (kind) => `${kind}_01${middle}` };
}
