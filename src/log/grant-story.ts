/** What a selection of entries owes of the grants it tells of: proofs of inclusion cannot show that none was left out. */
import type { LogEntry } from './entry.ts';
import { History } from './history.ts';

/** The requests of a grant as these entries name them: the one it came from, and those that asked for more time. */
export function requestsOf(grant: string, entries: readonly LogEntry[]): ReadonlySet<unknown> {
  return new Set(entries.flatMap(({ data }) => {
    if (data['grant'] === grant) return [data['request'], data['extension']].filter((each) => each !== undefined);
    return data['extendsGrant'] === grant ? [data['request']] : [];
  }));
}

/**
 * What must have been logged, by what is here, and is not here: the beginning of each grant and session, and the asking
 * and approval behind each grant and extension. What came after the last entry of a grant leaves no such trace.
 */
export function gapsOf(entries: readonly LogEntry[]): readonly string[] {
  const told = new Set(entries.flatMap(({ type, data }) => ['request', 'grant', 'session'].map((noun) => `${type} ${String(data[noun])}`)));
  const gaps = new Set<string>();
  const expect = (type: string, id: unknown, why: string) => {
    if (!told.has(`${type} ${String(id)}`)) gaps.add(`${why}: its ${type} is not here`);
  };
  const expectAgreed = (request: unknown, why: string) => {
    for (const type of ['request.submitted', 'request.approved']) expect(type, request, `request ${String(request)}, ${why}`);
  };
  for (const { type, data } of entries) {
    const { grant, request, session, extension } = data;
    if (typeof grant !== 'string') continue;
    if (type.startsWith('session.') && session !== undefined) expect('session.opened', session, `session ${String(session)} of grant ${grant}`);
    if (!type.startsWith('grant.')) continue;
    expect('grant.scheduled', grant, `grant ${grant}`);
    expectAgreed(request, `from which grant ${grant} came`);
    if (type === 'grant.extended') expectAgreed(extension, `which extended grant ${grant}`);
  }
  return [...gaps];
}

/** The grants of a selection that have not ended in it, with the state they are last known in. */
export function openGrants(entries: readonly LogEntry[], history: History): ReadonlyMap<string, string> {
  const open = new Map<string, string>();
  for (const { data: { grant } } of entries) {
    const state = typeof grant === 'string' ? history.stateOf('grant', grant) : null;
    if (state !== null && state !== 'ended') open.set(grant as string, state);
  }
  return open;
}
