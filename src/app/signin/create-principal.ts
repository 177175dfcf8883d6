import { principalCreated } from '#domain/events/administration-events.ts';
import { NAME, type Principal } from '#domain/principal.ts';
import { Refusal } from '#domain/refusal.ts';
import type { PersonId } from '#domain/id.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { Tx } from '../ports/store.ts';
import { bearerOfErasedName, ERASED_PREFIX } from './erased-name.ts';

export interface NewPrincipal {
  readonly kind: 'person' | 'workload';
  readonly name: string;
  readonly displayName: string;
  /** The owning person's name; demanded for a workload, refused for a person. */
  readonly owner: string | null;
  readonly administrator: boolean;
}

/** @throws Refusal `forbidden`, `already_exists`, `invalid_input`, `not_found` for the owner */
export function createPrincipal(app: App, actor: Actor, input: NewPrincipal): Promise<Principal> {
  return app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators add people and workloads');
    return await createPrincipalIn(app, tx, input, actor.id);
  });
}

export async function createPrincipalIn(app: App, tx: Tx, input: NewPrincipal, by: Actor['id'] | 'system'): Promise<Principal> {
  if (!NAME.test(input.name)) throw new Refusal('invalid_input', 'a name holds lower-case letters, digits, dots and dashes', { field: '/name' });
  // Names are never given twice, so that a policy that names somebody can't come to mean somebody else (A07).
  if (await tx.principals.byName(input.name)) throw new Refusal('already_exists', `the name "${input.name}" is taken`, { field: '/name' });
  if (input.name.startsWith(ERASED_PREFIX)) throw new Refusal('invalid_input', `names that begin with ${ERASED_PREFIX} are kept for those who were erased`, { field: '/name' });
  if (await bearerOfErasedName(app, tx, input.name)) throw new Refusal('already_exists', `the name "${input.name}" was somebody's who is erased, and is not given again`, { field: '/name' });
  const owner = input.owner === null ? null : await tx.principals.byName(input.owner);
  if ((input.kind === 'workload') !== (owner?.kind === 'person')) {
    throw new Refusal('invalid_input', 'a workload needs an owner who is a person, and a person has none', { field: '/owner' });
  }
  if (input.kind === 'workload' && input.administrator) throw new Refusal('invalid_input', 'a workload is never an administrator', { field: '/administrator' });
  const principal: Principal = {
    id: app.newId(input.kind, tx.now),
    kind: input.kind,
    name: input.name,
    displayName: input.displayName,
    owner: owner === null ? null : (owner.id as PersonId),
    disabledAt: null,
    administrator: input.administrator,
  };
  await tx.principals.insert(principal);
  await tx.log(principalCreated(principal.id, principal.kind, principal.owner, by));
  return principal;
}
