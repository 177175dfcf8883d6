/**
 * Replays what a log tells about requests, grants, their parts and sessions, and says where it tells something impossible. Driven by
 * the tables of `#domain/lifecycle.ts`: `grant.active` is the change of the grant `data.grant` to the state `active`.
 * Types that name no state are passed over, so that a newer log can be verified by an older verifier.
 */
import { GRANT_TRANSITIONS, mayBecome, PART_TRANSITIONS, REQUEST_TRANSITIONS, SESSION_TRANSITIONS } from '#domain/lifecycle.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import type { LogEntry } from './entry.ts';

const NOUNS = ['request', 'grant', 'part', 'session'] as const;
type Noun = (typeof NOUNS)[number];
const TABLES: Readonly<Record<Noun, Readonly<Record<string, readonly string[]>>>> = {
  request: REQUEST_TRANSITIONS,
  grant: GRANT_TRANSITIONS,
  part: PART_TRANSITIONS,
  session: SESSION_TRANSITIONS,
};

/** Events that bear another name than the state they lead to. */
const ALIASES: Readonly<Record<string, string>> = {
  'request.submitted': 'request.pending',
  'session.opened': 'session.pending',
  // A part begins, planned, with its grant: `grant.scheduled` names them all.
  'grant.part_present': 'part.present',
  'grant.part_removing': 'part.removing',
  'grant.part_absent': 'part.absent',
};

interface Step {
  readonly noun: Noun;
  readonly state: string;
  /** Nothing leads to it: the object is born in it. */
  readonly first: boolean;
}

const STEPS: ReadonlyMap<string, Step> = new Map(stepsOfTables());

function* stepsOfTables(): Generator<[string, Step]> {
  for (const noun of NOUNS) {
    const table = TABLES[noun];
    const reached = new Set(Object.values(table).flat());
    for (const state of Object.keys(table)) {
      const step = { noun, state, first: !reached.has(state) };
      yield [`${noun}.${state}`, step];
      for (const [alias, type] of Object.entries(ALIASES)) if (type === `${noun}.${state}`) yield [alias, step];
    }
  }
}

/** What an entry may do to the state machines: `null` for none. */
export function stepOf(type: string): Step | null {
  return STEPS.get(type) ?? null;
}

/**
 * Whether the whole log is replayed or a selection of entries. A selection may lack the request, or another grant's
 * entries, so only what it does contain is judged.
 */
export type Coverage = 'whole' | 'selection';

/**
 * Memory: about 100 bytes for each request, grant, part and session, since an ended one that moves again is just what has to
 * be noticed.
 */
export class History {
  readonly #whole: boolean;
  readonly #states: Readonly<Record<Noun, Map<string, string>>> = { request: new Map(), grant: new Map(), part: new Map(), session: new Map() };
  /** Who asked, for whom, while the request is pending: they must not review it. */
  readonly #requesters = new Map<string, readonly unknown[]>();
  readonly #partsOfGrant = new Map<string, readonly string[]>();
  readonly #openSessions = new Map<string, number>();
  readonly #grantOfSession = new Map<string, string>();

  constructor(coverage: Coverage) {
    this.#whole = coverage === 'whole';
  }

  /** The state an object is in so far; `null` when it was not heard of. */
  stateOf(noun: Noun, id: string): string | null {
    return this.#states[noun].get(id) ?? null;
  }

  /**
   * Takes the next entry; answers what is impossible about it, or `null`. After an impossible step the replay goes on
   * from the state that the log claims, so that one fault is told once.
   */
  apply(entry: LogEntry): string | null {
    if (entry.type === 'review.given') return this.#review(entry);
    const step = STEPS.get(entry.type);
    if (step === undefined) return null;
    const id = entry.data[step.noun];
    if (typeof id !== 'string') return `${entry.type} does not say which ${step.noun}`;
    const states = this.#states[step.noun];
    const before = states.get(id);
    states.set(id, step.state);
    return this.#transition(step, id, before) ?? this.#relations(step, id, entry);
  }

  #transition({ noun, state, first }: Step, id: string, before: string | undefined): string | null {
    if (before === undefined) {
      return first || !this.#whole ? null : `${noun} ${id} becomes ${state} without ever having begun`;
    }
    const table = TABLES[noun];
    if (mayBecome(table as Readonly<Record<string, readonly string[]>>, before, state)) return null;
    return `${noun} ${id} goes from ${before} to ${state}`;
  }

  /** What one object's step demands of another: reviews, parents, children. */
  #relations({ noun, state, first }: Step, id: string, entry: LogEntry): string | null {
    if (noun === 'request') {
      if (first) this.#requesters.set(id, [entry.actor, entry.data['principal'], entry.data['onBehalfOf']]);
      else this.#requesters.delete(id);
      return null;
    }
    if (noun === 'part') return null;
    if (noun === 'grant') return first ? this.#grantBegins(id, entry) : this.#grantMoves(id, state);
    return first ? this.#sessionBegins(id, entry) : this.#sessionMoves(id, state);
  }

  #review(entry: LogEntry): string | null {
    const request = entry.data['request'];
    if (typeof request !== 'string') return 'review.given does not say of which request';
    const state = this.#states.request.get(request);
    if (state === undefined) return this.#whole ? `a review of request ${request}, which nobody submitted` : null;
    if (state !== 'pending') return `a review of request ${request}, which is ${state}`;
    return this.#requesters.get(request)?.includes(entry.actor) === true ? `request ${request} is reviewed by the one who asked` : null;
  }

  #grantBegins(id: string, entry: LogEntry): string | null {
    const request = entry.data['request'];
    if (typeof request !== 'string') return `grant ${id} names no request`;
    const parts = partsNamedBy(entry);
    this.#partsOfGrant.set(id, parts);
    for (const part of parts) this.#states.part.set(part, 'planned');
    const state = this.#states.request.get(request);
    if (state === 'approved' || (state === undefined && !this.#whole)) return null;
    return `grant ${id} begins while its request ${request} is ${state ?? 'unknown'}`;
  }

  #grantMoves(id: string, state: string): string | null {
    // Active is what stands on every target; ended is what was read back and found gone from every one of them.
    const demanded = state === 'active' ? 'present' : state === 'ended' ? 'absent' : null;
    const part = demanded && this.#partsOfGrant.get(id)?.find((each) => this.#states.part.get(each) !== demanded);
    if (part) return `grant ${id} is ${state} while its part ${part} is ${this.#states.part.get(part)}`;
    const open = this.#openSessions.get(id) ?? 0;
    if (state !== 'ended' || open === 0) return null;
    return `grant ${id} is ended while ${open} of its sessions are not`;
  }

  #sessionBegins(id: string, entry: LogEntry): string | null {
    const grant = entry.data['grant'];
    if (typeof grant !== 'string') return `session ${id} names no grant`;
    this.#grantOfSession.set(id, grant);
    this.#openSessions.set(grant, (this.#openSessions.get(grant) ?? 0) + 1);
    const state = this.#states.grant.get(grant);
    if (state === 'active' || (state === undefined && !this.#whole)) return null;
    return `session ${id} begins while its grant ${grant} is ${state ?? 'unknown'}`;
  }

  #sessionMoves(id: string, state: string): string | null {
    if (state !== 'ended') return null;
    const grant = this.#grantOfSession.get(id);
    if (grant === undefined) return null;
    this.#grantOfSession.delete(id);
    const left = (this.#openSessions.get(grant) ?? 1) - 1;
    if (left === 0) this.#openSessions.delete(grant);
    else this.#openSessions.set(grant, left);
    return null;
  }
}

/** Ids of the parts that a `grant.scheduled` names. */
function partsNamedBy({ data }: LogEntry): readonly string[] {
  const { parts } = data;
  if (!Array.isArray(parts)) return [];
  return parts.flatMap((each: Json) => (isObject(each) && typeof each['part'] === 'string' ? [each['part']] : []));
}

const isObject = (value: Json): value is JsonObject => value !== null && typeof value === 'object' && !Array.isArray(value);
