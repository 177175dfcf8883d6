import type { Gate } from '#app/ports/gate.ts';
import type { BrokerId } from '#domain/id.ts';
import { ADMISSION, type AdmissionLimits } from '../carried/admission.ts';
import type { BrokerContext, BrokerLog } from '../carried/context.ts';
import { openDoor, PATIENCE, type Door, type Patience } from '../carried/door.ts';
import { serveConnection } from './connection.ts';
import { Doorway, type SshMaterial } from './doorway.ts';

export interface SshBrokerSettings {
  readonly broker: BrokerId;
  readonly gate: Gate;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly material: SshMaterial;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: BrokerLog;
  /** Whether other processes listen on the same port. */
  readonly reusePort?: boolean;
  readonly limits?: Partial<AdmissionLimits & Patience>;
}

export interface SshBroker extends Door {
  renewMaterial(material: SshMaterial): void;
}

/** Starts an SSH broker in this process. @throws the system's error when the port can't be had */
export async function startSshBroker(settings: SshBrokerSettings): Promise<SshBroker> {
  const limits = { ...ADMISSION, ...PATIENCE, ...settings.limits };
  const { broker, gate, now, monotonic, random, log } = settings;
  const context: BrokerContext = { broker, gate, now, monotonic, random, log, sessions: new Map() };
  const doorway = new Doorway(settings.material);
  const door = await openDoor(context, settings, limits, (arrival) => serveConnection(context, { ...arrival, doorway, patience: limits }));
  return Object.assign(door, { renewMaterial: (material: SshMaterial) => doorway.renew(material) });
}
