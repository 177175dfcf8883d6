import type { Answer } from '#contract/routes.ts';
import { FIRST_ENTRY, fillStore } from '#test/worlds/full-store.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';
import type { Benchmark, Figure } from '../benchmark.ts';
import { spread } from '../statistics.ts';
import { crowd } from '../world/crowd.ts';

const GRANTS = 1_000_000;
const PEOPLE = 200;
/** Past which a list no longer feels as if it were there. */
const AIM_MS = 300;

interface List {
  readonly what: string;
  readonly by: string;
  /** Of the first page; with `cursor`, of a later one. */
  readonly path: string;
  /** Starts in the middle of the history. */
  readonly cursor?: string;
}

const middle = (prefix: string, of: number) => `${prefix}_01${String(Math.floor(of / 2)).padStart(24, '0')}`;

/** Ada holds a fifth of the history, Dev-1 what is usual; Kim reviews, Sam administers. */
const lists = (grants: number): readonly List[] => [
  { what: 'requests, mine', by: 'dev-1', path: '/api/v1/requests' },
  { what: 'requests, mine, a fifth of all', by: 'ada', path: '/api/v1/requests' },
  { what: 'requests, inbox', by: 'kim', path: '/api/v1/requests?view=inbox' },
  { what: 'requests, all denied', by: 'sam', path: '/api/v1/requests?view=all&state=denied' },
  { what: 'grants, mine and live', by: 'ada', path: '/api/v1/grants?live=true' },
  { what: 'grants, mine, from the middle', by: 'ada', path: '/api/v1/grants', cursor: middle('grt', grants) },
  { what: 'grants, all live', by: 'sam', path: '/api/v1/grants?view=all&live=true' },
  { what: 'grants, all overdue', by: 'sam', path: '/api/v1/grants?view=all&overdue=true' },
  { what: 'grants on a target', by: 'sam', path: '/api/v1/grants?view=all&target=orders' },
  { what: 'grants on a target, live', by: 'sam', path: '/api/v1/grants?view=all&target=orders&live=true' },
  { what: 'sessions, mine', by: 'ada', path: '/api/v1/sessions' },
  { what: 'sessions, all live', by: 'sam', path: '/api/v1/sessions?view=all&live=true' },
  { what: 'log, newest', by: 'sam', path: '/api/v1/log/entries' },
  { what: 'log, a rare type', by: 'sam', path: '/api/v1/log/entries?type=principal.created' },
  { what: 'log, a usual type from the middle', by: 'sam', path: '/api/v1/log/entries?type=grant.ended', cursor: String(FIRST_ENTRY + Math.floor(grants * 1.5)) },
  { what: 'entitlements', by: 'ada', path: '/api/v1/entitlements' },
  { what: 'people', by: 'sam', path: '/api/v1/principals' },
  { what: 'targets', by: 'ada', path: '/api/v1/targets' },
];

export const benchmark: Benchmark = {
  title: 'List and search pages at 1,000,000 requests',
  about:
    'The lists of the API on a store that holds a million requests and grants, three million log entries and half a million sessions, of which a thousand live: from the signed call to the whole answer, one call at a time, pages of fifty, lists in turns. A fifth of the history is one person\'s. What stands in the store was put there by bulk and analysed; nothing was called before.',
  async run({ quick, tell }) {
    const grants = quick ? GRANTS / 10 : GRANTS;
    const rounds = quick ? 20 : 200;
    await using world = await brevetWorld({ files: (port) => crowd(port, PEOPLE) });
    const began = performance.now();
    // Their targets owe nothing: what is due in bulk stays out of the reconciler's hands.
    await fillStore(world.database.pool, { grants, revoking: false });
    tell(`${grants} requests after ${Math.round((performance.now() - began) / 1000)} s`);
    const took = await rounded(world, lists(grants), rounds);
    const figures = [...took].flatMap(([what, all]): Figure[] => {
      const { p50, p99 } = spread(all);
      return [{ what: `${what}, p50`, value: p50, unit: 'ms' }, { what: `${what}, p99`, value: p99, unit: 'ms', aim: { atMost: AIM_MS } }];
    });
    return { figures, details: { grants, rounds, firstCallsMs: Object.fromEntries([...took].map(([what, all]) => [what, all[0]])) } };
  },
};

async function rounded(world: BrevetWorld, all: readonly List[], rounds: number): Promise<ReadonlyMap<string, readonly number[]>> {
  const took = new Map(all.map(({ what }): [string, number[]] => [what, []]));
  const callers = new Map<string, Caller>();
  for (const { by } of all) callers.set(by, await world.as(by));
  for (let round = 0; round < rounds; round++) {
    for (const { what, by, path, cursor } of all) {
      const target = cursor === undefined ? path : `${path}${path.includes('?') ? '&' : '?'}cursor=${cursor}`;
      const from = performance.now();
      const reply = await callers.get(by)?.get<Pick<Answer<'grants'>, 'items'>>(target);
      took.get(what)?.push(performance.now() - from);
      if (reply?.status !== 200) throw new Error(`${what}: ${reply?.problem?.detail ?? 'no answer'}`);
    }
  }
  return took;
}
