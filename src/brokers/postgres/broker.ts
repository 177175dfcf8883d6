import type { Gate } from '#app/ports/gate.ts';
import type { BrokerId } from '#domain/id.ts';
import { ADMISSION, type AdmissionLimits } from '../carried/admission.ts';
import type { BrokerLog } from '../carried/context.ts';
import { openDoor, PATIENCE, type Door, type Patience } from '../carried/door.ts';
import { CancelKeys, slotOf } from './cancel-keys.ts';
import { serveConnection } from './connection.ts';
import type { PostgresContext } from './context.ts';
import { Doorway, type TlsMaterial } from './doorway.ts';
import type { CancelKey } from './startup.ts';

export interface BrokerSettings {
  readonly broker: BrokerId;
  readonly gate: Gate;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly tls: TlsMaterial;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: BrokerLog;
  /** Whether other processes listen on the same port. */
  readonly reusePort?: boolean;
  /** This process among those on the port, 0 to 31. */
  readonly slot?: number;
  /** Hands a cancel key of another process's on. */
  readonly forwardCancel?: (key: CancelKey) => Promise<void>;
  readonly limits?: Partial<AdmissionLimits & Patience>;
}

export interface Broker extends Door {
  renewTls(tls: TlsMaterial): void;
  /** Cancels what the session with this key runs. A wrong key does nothing. */
  cancel(key: CancelKey): Promise<void>;
}

/** Starts a PostgreSQL broker in this process. @throws the system's error when the port can't be had */
export async function startBroker(settings: BrokerSettings): Promise<Broker> {
  const limits = { ...ADMISSION, ...PATIENCE, ...settings.limits };
  const slot = settings.slot ?? 0;
  const keys = new CancelKeys(slot, settings.random);
  const { broker, gate, now, monotonic, random, log } = settings;
  const context: PostgresContext = { broker, gate, now, monotonic, random, log, keys, sessions: new Map() };
  const doorway = new Doorway(settings.tls, limits.stepMs);
  const cancel = (key: CancelKey) => {
    if (slotOf(key) === slot) return keys.cancel(key);
    return settings.forwardCancel?.(key) ?? Promise.resolve();
  };
  const door = await openDoor(context, settings, limits, (arrival) => serveConnection(context, { ...arrival, doorway, patience: limits, cancel }));
  return Object.assign(door, {
    renewTls: (tls: TlsMaterial) => doorway.renew(tls),
    cancel: (key: CancelKey) => keys.cancel(key),
  });
}
