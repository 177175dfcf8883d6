import type { GrantPart } from '#domain/grant.ts';
import type { JsonObject } from '#domain/json.ts';
import type { Tx } from '../ports/store.ts';
import type { Attempt } from './attempt.ts';

/** Live parts of other grants that sign in as the same stored account of the same server, in order of age. */
async function othersOn(tx: Tx, { part, plan, connector }: Attempt): Promise<readonly GrantPart[]> {
  if (part.kind !== 'brokered_session' || part.account === null) return [];
  // Two targets may be databases of one server, and accounts are the server's.
  const targets = (await tx.catalogue.targets()).filter(({ type, config }) => type === connector.type && connector.samePlace(config, plan.target.config));
  return (await tx.parts.sharing(targets.map(({ id }) => id), part.account)).filter(({ id }) => id !== part.id);
}

/**
 * What the oldest live grant on the account read: a session of its may have changed the account since. Asked before this
 * grant reads for itself, as that one may end meanwhile, and after, as it may have come only then.
 */
export async function earlierReading(tx: Tx, attempt: Attempt): Promise<JsonObject | null> {
  return (await othersOn(tx, attempt)).find(({ prior }) => prior !== null)?.prior ?? null;
}

/** What brokers noted of this part's sessions, which are to end, and of others' on the account, which go on. */
export async function sessionsOnAccount(tx: Tx, attempt: Attempt): Promise<{ readonly backends: JsonObject[]; readonly spared: JsonObject[] }> {
  const noted = async (part: GrantPart, live: boolean) =>
    (await tx.sessions.list({ grant: part.grant, ...(live ? { live } : {}) }, { before: null, limit: 10_000 }))
      .filter((session) => session.part === part.id).map(({ facts }) => facts);
  const spared: JsonObject[] = [];
  for (const other of await othersOn(tx, attempt)) spared.push(...(await noted(other, true)));
  return { backends: await noted(attempt.part, false), spared };
}
