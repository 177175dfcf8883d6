import type { Gate } from '#app/ports/gate.ts';
import type { BrokerId, SessionId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { CancelKeys } from './cancel-keys.ts';
import type { Session } from './session.ts';

export type BrokerLog = (level: 'info' | 'warn' | 'error', message: string, facts: JsonObject) => void;

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
  readonly keys: CancelKeys;
  readonly sessions: Map<SessionId, Session>;
}
