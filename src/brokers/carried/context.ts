import type { Gate, SessionTicket } from '#app/ports/gate.ts';
import type { BrokerId, SessionId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';

export type BrokerLog = (level: 'info' | 'warn' | 'error', message: string, facts: JsonObject) => void;

/** A session as its broker sees it, of whatever protocol. */
export interface Carried {
  readonly ticket: SessionTicket;
  /** Resolves when everything is over and reported. */
  readonly over: Promise<void>;
  /** Ends it from outside, with words for the client. */
  cut(reason: SessionEndReason, message: string | null): void;
  /** Moves the deadline: `remainingMs` counted from the monotonic instant `from`. */
  moveDeadline(remainingMs: number, from: number): void;
  /** The gate has said at the monotonic instant `at` that it may go on. */
  renewed(at: number): void;
  /** Called several times a second. */
  tick(now: number): void;
}

/** What every connection of a broker shares. */
export interface BrokerContext {
  readonly broker: BrokerId;
  readonly gate: Gate;
  /** Wall clock, milliseconds since 1970: only for what people read. */
  readonly now: () => number;
  /** Monotonic milliseconds: what deadlines and leases hang on. */
  readonly monotonic: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: BrokerLog;
  readonly sessions: Map<SessionId, Carried>;
}
