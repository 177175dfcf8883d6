import type { TargetId } from '#domain/id.ts';
import type { Monotonic } from '../ports/runtime.ts';

/**
 * What one process knows from its own attempts: of several servers one may have lost its way to a target that the others
 * reach. It leaves the work there to them until it has knocked and been answered, and it knocks for itself.
 */
export interface Reach {
  /** An attempt of this process got no answer. */
  lost(target: TargetId): void;
  /** This process knocked; `null` when it could not even ask. */
  knocked(target: TargetId, answered: boolean | null): void;
  /** Targets that did not answer this process when it last spoke to them. */
  unanswered(): readonly TargetId[];
  /** Whether this process last knocked there `ms` ago, or longer. */
  restedFor(target: TargetId, ms: number): boolean;
}

export function reachOf(monotonic: Pick<Monotonic, 'now'>): Reach {
  const silent = new Set<TargetId>();
  const knockedAt = new Map<TargetId, number>();
  return {
    lost: (target) => void silent.add(target),
    knocked: (target, answered) => {
      if (answered) silent.delete(target);
      else if (answered === false) silent.add(target);
      knockedAt.set(target, monotonic.now());
    },
    unanswered: () => [...silent],
    restedFor: (target, ms) => monotonic.now() - (knockedAt.get(target) ?? -Infinity) >= ms,
  };
}
