import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Gate } from '#app/ports/gate.ts';
import type { BrokerId, SessionId } from '#domain/id.ts';
import { Admission, ADMISSION, type AdmissionLimits } from './admission.ts';
import { CancelKeys, slotOf } from './cancel-keys.ts';
import { PATIENCE, serveConnection, type Patience } from './connection.ts';
import type { BrokerContext, BrokerLog } from './context.ts';
import { Doorway, type TlsMaterial } from './doorway.ts';
import { keepLeases } from './lease.ts';
import type { Session } from './session.ts';
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

export interface Broker {
  readonly host: string;
  readonly port: number;
  /** Sessions open, connections not signed in yet. */
  readonly load: { readonly sessions: number; readonly halfOpen: number };
  renewTls(tls: TlsMaterial): void;
  /** Cancels what the session with this key runs. A wrong key does nothing. */
  cancel(key: CancelKey): Promise<void>;
  /** Nobody new is let in; what is open goes on. */
  closeDoor(): void;
  /** Closes the door, cuts every session, and answers when all are reported. */
  stop(): Promise<void>;
}

/** Starts a PostgreSQL broker in this process. @throws the system's error when the port can't be had */
export async function startBroker(settings: BrokerSettings): Promise<Broker> {
  const limits = { ...ADMISSION, ...PATIENCE, ...settings.limits };
  const slot = settings.slot ?? 0;
  const sessions = new Map<SessionId, Session>();
  const keys = new CancelKeys(slot, settings.random);
  const { broker, gate, now, monotonic, random, log } = settings;
  const context: BrokerContext = { broker, gate, now, monotonic, random, log, keys, sessions };
  const doorway = new Doorway(settings.tls, limits.stepMs);
  const admission = new Admission(limits);
  const open = new Set<Socket>();
  const cancel = (key: CancelKey) => {
    if (slotOf(key) === slot) return keys.cancel(key);
    return settings.forwardCancel?.(key) ?? Promise.resolve();
  };

  const server = createServer({ pauseOnConnect: false, noDelay: true }, (raw) => {
    const address = (raw.remoteAddress ?? '').replace(/^::ffff:/, '');
    const place = admission.enter(address, sessions.size, () => raw.destroy());
    if (!place) return raw.destroy();
    open.add(raw);
    raw.on('close', () => {
      open.delete(raw);
      place.leave();
    });
    void serveConnection(context, { raw, address, doorway, patience: limits, spoke: place.spoke, proved: place.leave, wait: () => admission.wait(), cancel });
  });
  server.listen({ host: settings.host, port: settings.port, reusePort: settings.reusePort ?? false, backlog: 1024 });
  await once(server, 'listening');
  const stopLeases = keepLeases(context);

  return {
    host: settings.host,
    port: (server.address() as AddressInfo).port,
    get load() {
      return { sessions: sessions.size, halfOpen: admission.waiting };
    },
    renewTls: (tls) => doorway.renew(tls),
    cancel: (key) => keys.cancel(key),
    closeDoor: () => void server.close(),
    async stop() {
      server.close();
      const all = [...sessions.values()];
      for (const session of all) session.cut('broker_lost', null);
      await Promise.all(all.map((session) => session.over));
      stopLeases();
      for (const raw of open) raw.destroy();
    },
  };
}
