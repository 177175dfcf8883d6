import { setTimeout as sleep } from 'node:timers/promises';
import type { BrevetWorld } from '#test/worlds/brevet-world.ts';
import { crowdNames } from './crowd.ts';

export interface HeldGrant {
  readonly id: string;
  readonly person: string;
  /** The role on the target. */
  readonly role: string;
  /** By the store's clock, in milliseconds. */
  readonly deadline: number;
}

export interface Stagger {
  readonly count: number;
  /** How many people hold them, in turn. */
  readonly people: number;
  /** When the first deadline is to come, in seconds from now: by then all are made. */
  readonly leadSeconds: number;
  /** Over how many seconds the deadlines are spread. */
  readonly overSeconds: number;
}

const AT_ONCE = 4;

/**
 * Grants by the API, approved by policy, whose deadlines come one after another. A grant's time is a whole number of
 * seconds from its activation on, so that the deadlines fall on any millisecond. `made` hears of each as it is active.
 */
export async function staggeredGrants(world: BrevetWorld, { count, people, leadSeconds, overSeconds }: Stagger, made: (grant: HeldGrant) => void = () => undefined): Promise<readonly HeldGrant[]> {
  const names = crowdNames(people);
  for (const name of names) await world.as(name);
  const began = performance.now();
  const grants: HeldGrant[] = [];
  let next = 0;
  const work = async () => {
    for (let n = next++; n < count; n = next++) {
      const person = names[n % names.length] as string;
      const left = leadSeconds + (overSeconds * n) / count - (performance.now() - began) / 1000;
      const { id, deadline, parts } = await world.grant(person, 'orders-read', { seconds: Math.max(2, Math.round(left)) });
      const grant = { id, person, role: parts[0]?.object ?? '', deadline: Date.parse(deadline ?? '') };
      grants.push(grant);
      made(grant);
      // A caller may send 100 requests a second; nobody here needs more.
      await sleep(5);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return grants;
}
