import type { TargetId } from '#domain/id.ts';
import type { Monotonic } from '../ports/runtime.ts';

/**
 * What one process knows from its own attempts: of several servers one may have lost its way to a target that the others
 * reach. It leaves the work there to them until it has knocked and been answered, and it knocks for itself.
 */
export interface Reach {
  /** An attempt of this process got no answer. */
  lost(target: TargetId): void;
  /** This process knocks: until it has an answer it has none. */
  knocks(target: TargetId): void;
  /** This process has knocked; `null` when it could not even ask. */
  knocked(target: TargetId, answered: boolean | null): void;
  /** Targets that did not answer this process when it last spoke to them, or have not yet. */
  unanswered(): readonly TargetId[];
  /**
   * Whether this process may knock there now: it does not already, and its last knock is `everyMs` ago. Where that was answered,
   * and it lost nothing since, it may at once: others say that they get no answer.
   */
  mayKnock(target: TargetId, everyMs: number): boolean;
  /** When this process last had, or gave up waiting for, an answer to a knock there, by its monotonic clock; 0 when it never knocked. */
  lastKnock(target: TargetId): number;
}

export function reachOf(monotonic: Pick<Monotonic, 'now'>): Reach {
  const silent = new Set<TargetId>();
  const knocking = new Set<TargetId>();
  const knocks = new Map<TargetId, { readonly at: number; readonly answered: boolean | null }>();
  return {
    lost: (target) => void silent.add(target),
    knocks: (target) => void knocking.add(target),
    knocked: (target, answered) => {
      knocking.delete(target);
      if (answered) silent.delete(target);
      else if (answered === false) silent.add(target);
      knocks.set(target, { at: monotonic.now(), answered });
    },
    lastKnock: (target) => knocks.get(target)?.at ?? 0,
    unanswered: () => [...new Set([...silent, ...knocking])],
    mayKnock: (target, everyMs) => {
      const last = knocks.get(target);
      if (knocking.has(target)) return false;
      return !last || monotonic.now() - last.at >= everyMs || (last.answered === true && !silent.has(target));
    },
  };
}
