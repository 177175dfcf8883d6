import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

export interface EndObserver {
  /** When each grant was first seen as ended, in milliseconds by the store's clock. */
  readonly ended: ReadonlyMap<string, number>;
  /** Grants that the log said had ended, verified, while their role still stood on the target. */
  readonly lies: readonly string[];
  stop(): Promise<void>;
}

const LOOK_MS = 10;

/**
 * Watches from outside, on connections of its own, every ten milliseconds: which `grant.ended` entries with
 * `verified: true` have been committed, and whether the role of each is really absent on its target at that moment.
 */
export async function observeEnds(storeUrl: string, targets: readonly { readonly url: string }[], roleOf: (grant: string) => string | undefined): Promise<EndObserver> {
  const store = new Client({ connectionString: storeUrl });
  const clients = targets.map(({ url }) => new Client({ connectionString: url }));
  for (const client of [store, ...clients]) {
    client.on('error', () => undefined);
    await client.connect();
  }
  const ended = new Map<string, number>();
  const lies: string[] = [];
  const stopping = new AbortController();
  const look = async () => {
    for (let seen = 0; !stopping.signal.aborted; await sleep(LOOK_MS)) {
      // Entries that commit late may be numbered before others that were seen: hence some overlap.
      const { rows } = await store.query<{ arrival: string; grant: string; verified: boolean; ms: number }>(
        `select arrival, grant_id as grant, (body::jsonb -> 'data' ->> 'verified')::boolean as verified,
                extract(epoch from clock_timestamp())::float8 * 1000 as ms
           from brevet.log_entries where type = 'grant.ended' and arrival > $1 order by arrival`, [Math.max(0, seen - 2000)]);
      const fresh = rows.filter(({ grant, verified }) => verified && !ended.has(grant));
      if (fresh.length === 0) continue;
      for (const { arrival, grant, ms } of fresh) {
        ended.set(grant, ms);
        seen = Math.max(seen, Number(arrival));
      }
      const roles = fresh.map(({ grant }) => roleOf(grant)).filter((role) => role !== undefined);
      for (const client of clients) {
        const still = await client.query<{ rolname: string }>('select rolname from pg_roles where rolname = any($1)', [roles]).catch(() => ({ rows: [] }));
        lies.push(...still.rows.map(({ rolname }) => rolname));
      }
    }
  };
  const looking = look();
  return {
    ended, lies,
    async stop() {
      stopping.abort();
      await looking;
      await Promise.all([store, ...clients].map((client) => client.end().catch(() => undefined)));
    },
  };
}
