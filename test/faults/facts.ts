/** What is read when everything is over: the API's answers, the log's files, and what the targets wrote down. */
import type { Answer } from '#contract/routes.ts';
import { verifyLog } from '#log/verifier.ts';
import type { GrantFacts, Told, Use } from './checker.ts';
import { living, type FaultWorld } from './world.ts';

export interface Facts {
  readonly grants: readonly GrantFacts[];
  readonly requests: readonly string[];
  readonly sessions: readonly string[];
  readonly entries: readonly Told[];
  readonly uses: readonly Use[];
  /** Of the offline verification of the whole log. */
  readonly findings: readonly string[];
}

export async function readFacts(world: FaultWorld): Promise<Facts> {
  const grants = await all<Answer<'grants'>['items'][number]>(world, '/api/v1/grants?view=all');
  const requests = await all<{ id: string }>(world, '/api/v1/requests?view=all');
  const sessions = await all<{ id: string }>(world, '/api/v1/sessions?view=all');
  const entries = await all<Answer<'logEntries'>['items'][number]>(world, '/api/v1/log/entries');
  const facts = grants.map(factsOf);
  const ids = ({ id }: { readonly id: string }) => id;
  return {
    grants: facts,
    requests: requests.map(ids),
    sessions: sessions.map(ids),
    entries: entries.map(({ type, data }) => ({ type, about: String(type.startsWith('session.') ? data['session'] : data['grant']) })),
    uses: await uses(world, facts),
    findings: await verify(world, entries.length),
  };
}

function factsOf(grant: Answer<'grants'>['items'][number]): GrantFacts {
  const at = (instant: string | null) => (instant === null ? null : Date.parse(instant));
  const [part] = grant.parts;
  return {
    id: grant.id, state: grant.state, durationMs: grant.durationSeconds * 1000, createdAt: Date.parse(grant.createdAt),
    // The raised account is the person's own.
    target: part?.target.name ?? '', account: part?.account ?? part?.object ?? '',
    activatedAt: at(grant.activatedAt), deadline: at(grant.deadline), revokeDueAt: at(grant.revokeDueAt), endedAt: at(grant.endedAt),
  };
}

async function all<T>(world: FaultWorld, path: string): Promise<readonly T[]> {
  const found: T[] = [];
  for (let next: string | null = '', tries = 0; next !== null && tries < 20;) {
    const url: string = `${path}${path.includes('?') ? '&' : '?'}limit=500${next === '' ? '' : `&cursor=${encodeURIComponent(next)}`}`;
    const reply = await world.ask<{ items: T[]; next: string | null }>(world.administrator, 0, 'GET', url);
    if (reply?.status !== 200) {
      if (++tries === 20) throw new Error(`${path} is not answered: ${JSON.stringify(reply?.problem)}`);
      continue;
    }
    found.push(...reply.body.items);
    ({ next } = reply.body);
  }
  return found;
}

/** `pit` is another way to the server of `orders`: one record for both, and a grant's account belongs to the way of its grant. */
async function uses(world: FaultWorld, grants: readonly GrantFacts[]): Promise<readonly Use[]> {
  const found: Use[] = [];
  const wayOf = new Map(grants.map(({ account, target }) => [account, target]));
  for (const server of new Set(world.targets.values())) {
    const names = [...world.targets].filter(([, each]) => each === server).map(([name]) => name);
    const { rows } = await server.query('select extract(epoch from at)::float8 * 1000 as at, account, past_brevet from shop.uses order by at', [], 'orders');
    for (const { at, account, past_brevet } of rows as { at: number; account: string; past_brevet: boolean }[]) {
      const way = wayOf.get(account) ?? '';
      found.push({ target: (names.includes(way) ? way : names[0]) ?? '', account, at, through: past_brevet ? 'direct' : 'broker' });
    }
  }
  return found;
}

async function verify(world: FaultWorld, entries: number): Promise<readonly string[]> {
  const address = living(world.nodes, 0)?.address ?? '';
  const report = await verifyLog({
    read: async (path) => {
      const reply = await fetch(`${address}/log/${path}`);
      return reply.status === 200 ? new Uint8Array(await reply.arrayBuffer()) : null;
    },
  });
  const findings = report.findings.map((finding) => JSON.stringify(finding));
  return report.checked === entries ? findings : [...findings, `${report.checked} entries verify, and there are ${entries}`];
}

/** Roles, memberships and connections on all targets but Brevet's own and those of the people who try. */
export async function standing(world: FaultWorld): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [name, server] of world.targets) {
    const { rows } = await server.query(`
      select 'role ' || rolname as what from pg_roles
      union all select 'membership of ' || member::regrole || ' in ' || roleid::regrole from pg_auth_members
      union all select 'connection of ' || coalesce(r.rolname, 'nobody') from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid
        where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and coalesce(r.rolname, '') not in ('brevet_admin', 'ada', 'kim')`, [], 'orders');
    found.push(...rows.map(({ what }: { what: string }) => `${what} on ${name}`));
  }
  return found;
}
