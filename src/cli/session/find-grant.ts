import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { collect, collectAll } from '../commands/pages.ts';
import type { Grant } from '../commands/render-grant.ts';
import type { Run } from './run.ts';

/** Matches what people call it: the grant's id, the entitlement's name, or the name of a target it reaches. */
const answersTo = (grant: Grant, name: string) =>
  grant.id === name || grant.entitlement.name === name || grant.parts.some((part) => part.target.name === name);

/**
 * The one live grant that `name` means, and that can be connected with now; null when there is none at all.
 * @throws Failure when several fit, or the one that fits does not work now
 */
export async function findGrant(run: Run, name: string): Promise<Grant | null> {
  const client = await run.client();
  if (name.startsWith('grt_')) return usable(await client.call('grant', { params: { id: name } }));
  const { items } = await collect(500, (query) => client.call('grants', { query: { ...query, view: 'mine', live: 'true' } }));
  const fitting = items.filter((grant) => answersTo(grant, name));
  const working = fitting.filter((grant) => grant.actions.connect.allowed);
  if (working.length > 1) {
    throw new Failure(EXIT.usage, `several grants fit "${name}": ${working.map((grant) => `${grant.id} (${grant.entitlement.name})`).join(', ')}`, 'Name one of them.');
  }
  const [grant = fitting[0]] = working;
  return grant === undefined ? null : usable(grant);
}

function usable(grant: Grant): Grant {
  if (grant.actions.connect.allowed) return grant;
  const why = grant.actions.connect.reason ?? `it is ${grant.state}`;
  throw new Failure(grant.state === 'ended' ? EXIT.notFound : EXIT.state, `${grant.id} can not be used: ${why}`, `brevet show ${grant.id}`);
}

/** What to do without a grant: wait for a request that is open already, or ask. */
export async function noGrant(run: Run, name: string): Promise<Failure> {
  const client = await run.client();
  const { items } = await client.call('requests', { query: { view: 'mine', state: 'pending', limit: 100 } });
  const open = items.find((request) => request.entitlement.name === name || request.targets.some((target) => target.name === name));
  if (open) return new Failure(EXIT.notFound, `no active grant for "${name}"; ${open.id} still waits for a decision`, `brevet show ${open.id}`);
  const offers = (await collectAll((query) => client.call('entitlements', { query }))).items.filter((each) => each.name === name || each.targets.some((target) => target.name === name));
  const [offer, ...others] = offers.filter((each) => each.request.allowed).map((each) => each.name);
  if (offer !== undefined) {
    const which = others.length > 0 ? `You may ask for ${[offer, ...others].join(', ')}. ` : '';
    return new Failure(EXIT.notFound, `no active grant for "${name}"`, `${which}Ask, and wait in place: brevet psql ${others.length > 0 ? 'NAME' : offer} --request --wait --reason '...'`);
  }
  const [locked] = offers;
  if (locked) return new Failure(EXIT.notFound, `no active grant for "${name}", and you may not ask for ${locked.name}: ${locked.request.reason ?? 'policy says no'}`);
  return new Failure(EXIT.notFound, `"${name}" is neither a grant, nor an entitlement, nor a target of yours`, 'brevet entitlements lists what you may ask for.');
}
