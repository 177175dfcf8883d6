import type { Rng } from './random.ts';
import { ASKERS, ENTITLEMENTS, REVIEWERS } from './setup.ts';
import type { CommitFate } from './target.ts';

/** What people do. */
export type Act =
  | { readonly do: 'request'; readonly who: string; readonly entitlement: string; readonly seconds: number; readonly startIn: number | null }
  | { readonly do: 'review'; readonly who: string; readonly how: 'approve' | 'deny' | 'narrow' }
  | { readonly do: 'connect'; readonly who: string; readonly holdMs: number; readonly by: 'certificate' | 'token'; readonly waitSeconds: number }
  | { readonly do: 'extend'; readonly who: string; readonly seconds: number }
  | { readonly do: 'finish' | 'cancel' | 'revoke' | 'disable' | 'enable' | 'endSessions' | 'takeAll'; readonly who: string }
  | { readonly do: 'flood'; readonly who: string }
  | { readonly do: 'publish'; readonly deny: readonly string[] }
  | { readonly do: 'tamper'; readonly how: 'delete' | 'rename' | 'unmark' };

/** What goes wrong. `after` counts effects of whichever server; the one that has the last of them is struck, else `node`. */
export type Fault =
  | { readonly fault: 'crash'; readonly node: number; readonly downMs: number; readonly after: number; readonly when: 'now' | 'before' | 'after' }
  | { readonly fault: 'pause'; readonly node: number; readonly broker: boolean; readonly ms: number; readonly after: number }
  | { readonly fault: 'commit'; readonly node: number; readonly fate: 'lost' | 'answer lost' }
  | { readonly fault: 'cut'; readonly node: number; readonly from: 'store' | 'target' | 'broker' | 'broker-target'; readonly target: number; readonly ms: number }
  | { readonly fault: 'storeDown' | 'keysDown' | 'signerDown' | 'noticesLost'; readonly ms: number }
  | { readonly fault: 'logBroken'; readonly ms: number; readonly share: number; readonly code: string }
  | { readonly fault: 'targetDown' | 'targetRefuses'; readonly target: number; readonly ms: number }
  | { readonly fault: 'targetFate'; readonly target: number; readonly fates: readonly CommitFate[] }
  | { readonly fault: 'clockStep'; readonly ms: number }
  | { readonly fault: 'skew'; readonly target: number; readonly ms: number; readonly forMs: number }
  | { readonly fault: 'brokerDies'; readonly node: number }
  | { readonly fault: 'restore'; readonly ageMs: number };

/** The first commit from `at` on that brings a grant into this state, or opens a session: the moments in which races are lost. */
export type Moment = 'activating' | 'active' | 'revoking' | 'connecting';

/** With `on` a fault strikes the server and the target that the moment is about, `delay` milliseconds later. */
export type Step = { readonly id: number; readonly at: number; readonly on?: Moment; readonly delay?: number } & (Act | Fault);
type Add<What> = (at: number, what: What, on?: Moment, delay?: number) => void;

export interface Script {
  readonly nodes: number;
  /** In order of time: milliseconds from the start. */
  readonly steps: readonly Step[];
  /** When the healing begins. */
  readonly healAt: number;
}

const HOUR = 3_600_000;

/** Several busy stretches, hours apart: access is asked for, decided, used, taken back, and things go wrong meanwhile. */
export function writeScript(rng: Rng): Script {
  const nodes = 2 + rng.below(2);
  const steps: Step[] = [];
  const add: Add<Act | Fault> = (at, what, on, delay = rng.chance(0.5) ? 0 : Math.round(rng.next() ** 3 * 300)) =>
    steps.push({ id: steps.length, at: Math.round(at), ...(on ? { on, delay } : {}), ...what });
  let at = 10_000;
  const stretches = 2 + rng.below(4);
  for (let i = 0; i < stretches; i++) {
    const moments: number[] = [];
    const length = writeStretch(rng, at, (when, what, on) => {
      moments.push(when, ...('do' in what && what.do === 'request' ? [when + 4_000, when + 4_000 + what.seconds * 1000] : []));
      add(when, what, on);
    });
    // Most things go wrong while something is being done, or comes to its end.
    for (let n = rng.below(4); n > 0; n--) {
      const on = rng.pick<Moment>(['activating', 'activating', 'active', 'revoking', 'revoking', 'connecting']);
      add(rng.pick(moments), rng.chance(0.6) ? strikeAtWork(rng, on) : fault(rng, nodes), on);
      // While a target is down is a bad time for the clock to go back.
      if (rng.chance(0.15)) {
        const from = rng.pick(moments);
        add(from, { fault: 'targetDown', target: 0, ms: rng.between(8_000, 40_000) }, 'revoking', 0);
        add(from, { fault: 'clockStep', ms: -HOUR }, 'revoking', Math.round(rng.between(3_000, 20_000)));
      }
    }
    for (let n = rng.below(4); n > 0; n--) add(rng.chance(0.7) ? Math.max(at, rng.pick(moments) + rng.between(-1_000, 3_000)) : at + rng.next() ** 2 * length, fault(rng, nodes));
    at += length + rng.between(0.1, 20) * HOUR;
  }
  steps.sort((a, b) => a.at - b.at);
  return { nodes, steps, healAt: at };
}

function writeStretch(rng: Rng, from: number, add: Add<Act | Fault>): number {
  let end = from + 60_000;
  for (let n = 1 + rng.below(3); n > 0; n--) {
    const at = from + rng.between(0, 40_000);
    const who = rng.pick([...ASKERS, 'adam']);
    const seconds = rng.chance(0.15) ? 600 + rng.below(6600) : 5 + Math.floor(rng.next() ** 2 * 90);
    const entitlement = rng.pick(ENTITLEMENTS);
    add(at, { do: 'request', who, entitlement, seconds, startIn: rng.chance(0.1) ? rng.below(120_000) : null });
    for (let reviews = 3 + rng.below(3); reviews > 0; reviews--) add(at + rng.between(500, 12_000), { do: 'review', who: rng.pick([...REVIEWERS, who]), how: rng.chance(0.08) ? 'deny' : rng.chance(0.15) ? 'narrow' : 'approve' });
    const until = at + 12_000 + seconds * 1000;
    end = Math.max(end, Math.min(until, at + 150_000) + 10_000);
    const within = () => rng.between(at, Math.min(until, at + 150_000));
    for (let connects = rng.below(4); connects > 0; connects--) add(rng.chance(0.5) ? at : within(), { do: 'connect', who, holdMs: rng.between(1_000, rng.chance(0.2) ? 120_000 : 30_000), by: rng.chance(0.3) ? 'token' : 'certificate', waitSeconds: rng.chance(0.3) ? 20 : 0 }, rng.chance(0.5) ? 'active' : undefined);
    if (rng.chance(0.3)) add(within(), { do: 'extend', who, seconds: rng.chance(0.4) ? 600 : 5 + rng.below(60) });
    if (rng.chance(0.5)) add(within(), later(rng, who, entitlement));
    if (rng.chance(0.3)) add(at, { do: rng.pick(['finish', 'revoke', 'takeAll', 'disable']), who }, rng.pick<Moment>(['activating', 'active']));
    if (rng.chance(0.04)) add(within(), { do: 'flood', who });
    // Access that is taken back while somebody uses it, now and then where nobody but the broker can end that.
    if (rng.chance(0.2)) {
      add(at, { do: 'connect', who, holdMs: 60_000, by: 'certificate', waitSeconds: 0 }, 'active');
      if (rng.chance(0.5)) add(at, { fault: 'targetDown', target: 0, ms: rng.between(8_000, 30_000) }, 'connecting', 1_500);
      if (rng.chance(0.7)) add(at, { do: rng.pick(['finish', 'revoke', 'takeAll']), who }, 'connecting', 2_500);
    }
    if (rng.chance(0.12)) add(within(), { do: 'tamper', how: rng.pick(['delete', 'rename', 'unmark']) });
  }
  return end - from;
}

function later(rng: Rng, who: string, entitlement: string): Act {
  const what = rng.pick(['finish', 'revoke', 'revoke', 'cancel', 'disable', 'enable', 'endSessions', 'takeAll', 'publish', 'publish', 'publish'] as const);
  if (what === 'publish') return { do: 'publish', deny: rng.chance(0.4) ? [] : [`${rng.pick(['connect', 'connect', 'activate', 'request', 'extend'])} ${rng.chance(0.5) ? who : entitlement}`] };
  return { do: what, who };
}

/** What strikes whoever is at work just then. */
function strikeAtWork(rng: Rng, on: Moment): Fault {
  // A ticket is on its way: whoever sends it is struck before it leaves.
  if (on === 'connecting' && rng.chance(0.5)) return { fault: 'pause', node: 0, broker: false, ms: rng.between(2_000, 9_500), after: 0 };
  const after = rng.below(4);
  if (rng.chance(0.25)) return { fault: 'crash', node: 0, downMs: rng.between(500, 40_000), after, when: rng.pick(['before', 'after', 'after']) };
  if (rng.chance(0.4)) return { fault: 'pause', node: 0, broker: false, ms: rng.between(1_000, 45_000), after };
  if (rng.chance(0.4)) return { fault: 'targetDown', target: 0, ms: rng.between(1_000, 60_000) };
  if (rng.chance(0.3)) return { fault: 'clockStep', ms: rng.pick([-1, 1]) * (rng.chance(0.6) ? HOUR : rng.between(1_000, 120_000)) };
  return { fault: 'targetFate', target: rng.below(3), fates: [rng.pick<CommitFate>(['done', 'lies', 'answer lost']), rng.pick<CommitFate>(['lies', 'answer lost', 'late', 'lost', 'half'])] };
}

function fault(rng: Rng, nodes: number): Fault {
  const node = rng.below(nodes);
  const target = rng.below(3);
  const short = rng.between(500, 45_000);
  switch (rng.below(22)) {
    case 0: case 1: case 2: return { fault: 'crash', node, downMs: rng.between(500, 40_000), after: 1 + rng.below(8), when: rng.pick(['now', 'before', 'after', 'after']) };
    case 3: case 4: return { fault: 'pause', node, broker: rng.chance(0.3), ms: rng.between(1_000, 60_000), after: rng.below(6) };
    case 5: case 6: return { fault: 'commit', node, fate: rng.pick(['lost', 'answer lost']) };
    case 7: case 8: return { fault: 'cut', node, from: rng.pick(['store', 'target', 'broker', 'broker-target']), target, ms: short };
    case 9: return { fault: 'storeDown', ms: short };
    // Its disk is full, or a page of it is unreadable.
    case 10: return rng.chance(0.4) ? { fault: 'logBroken', ms: short, share: rng.pick([0.5, 1, 1]), code: rng.pick(['53100', 'XX001']) }
      : { fault: rng.pick(['keysDown', 'signerDown', 'noticesLost']), ms: short * 2 };
    case 11: case 12: return { fault: 'targetDown', target, ms: short * 1.5 };
    case 13: return { fault: 'targetRefuses', target, ms: rng.chance(0.3) ? short * 5 : short };
    case 14: case 15: case 16: return { fault: 'targetFate', target, fates: Array.from({ length: 1 + rng.below(3) }, () => rng.pick<CommitFate>(['done', 'answer lost', 'lost', 'late', 'lies', 'lies', 'half'])) };
    case 17: return { fault: 'clockStep', ms: rng.pick([-1, 1]) * (rng.chance(0.5) ? HOUR : rng.between(1_000, 120_000)) };
    case 18: return { fault: 'skew', target, ms: rng.pick([-1, 1]) * rng.between(100, 600_000), forMs: short * 3 };
    case 19: case 20: return { fault: 'restore', ageMs: rng.between(5_000, 60_000) };
    default: return { fault: 'brokerDies', node };
  }
}
