interface Reviewer {
  readonly kind: 'person' | 'workload';
  readonly name: string;
  readonly groups: readonly string[];
}
interface Stage {
  readonly name: string;
  readonly groups: readonly string[];
  readonly required: number;
}

/**
 * Whether the stages can be passed without one person, who may be the requester. Each person decides once per request, so the
 * stages need different people: an assignment of persons to seats (bipartite matching), not a count per stage.
 * @returns the first stage that can't be filled, or `null`
 */
export function unpassableStage(
  stages: readonly Stage[],
  principals: readonly Reviewer[],
  without: string | null,
): string | null {
  const reviewers = principals.filter(({ kind, name }) => kind === 'person' && name !== without);
  const seatOf = new Map<string, number>();
  const seats = stages.flatMap(({ name, groups, required }) => {
    const eligible = reviewers.filter((person) => person.groups.some((group) => groups.includes(group)));
    return Array.from({ length: required }, () => ({ stage: name, eligible: eligible.map((person) => person.name) }));
  });

  function seat(index: number, tried: Set<string>): boolean {
    for (const person of seats[index]?.eligible ?? []) {
      if (tried.has(person)) continue;
      tried.add(person);
      const held = seatOf.get(person);
      if (held === undefined || seat(held, tried)) {
        seatOf.set(person, index);
        return true;
      }
    }
    return false;
  }

  for (const [index, { stage }] of seats.entries()) if (!seat(index, new Set())) return stage;
  return null;
}
