import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Admission, type AdmissionLimits } from './admission.ts';
import type { BrokerContext } from './context.ts';
import { keepLeases } from './lease.ts';

/** How long a client may take before it has proved who it is: each step, and all of them together. */
export interface Patience {
  readonly stepMs: number;
  readonly proofMs: number;
}
export const PATIENCE: Patience = { stepMs: 10_000, proofMs: 20_000 };

/** A connection at the door. */
export interface Arrival {
  readonly raw: Socket;
  readonly address: string;
  /** The client has said what it wants: when places run out, silent ones go first. */
  spoke(): void;
  /** The client has proved who it is: it no longer counts as half open. */
  proved(): void;
  /** Counts it among those that may wait for an approval, and answers how to count it out; `null` when there are too many. */
  wait(): (() => void) | null;
}

export interface DoorSettings {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Whether other processes listen on the same port. */
  readonly reusePort?: boolean;
}

export interface Door {
  readonly host: string;
  readonly port: number;
  /** Sessions open, connections not signed in yet. */
  readonly load: { readonly sessions: number; readonly halfOpen: number };
  /** Nobody new is let in; what is open goes on. */
  closeDoor(): void;
  /** Closes the door, cuts every session, and answers when all are reported. */
  stop(): Promise<void>;
}

/** Listens for clients, admits as many as may be under way, and keeps the leases of their sessions. @throws the system's error when the port can't be had */
export async function openDoor(context: BrokerContext, settings: DoorSettings, limits: AdmissionLimits, serve: (arrival: Arrival) => Promise<void>): Promise<Door> {
  const { sessions } = context;
  const admission = new Admission(limits);
  const open = new Set<Socket>();
  const server = createServer({ pauseOnConnect: false, noDelay: true }, (raw) => {
    const address = (raw.remoteAddress ?? '').replace(/^::ffff:/, '');
    const place = admission.enter(address, sessions.size, () => raw.destroy());
    if (!place) return raw.destroy();
    open.add(raw);
    raw.on('close', () => {
      open.delete(raw);
      place.leave();
    });
    raw.setNoDelay(true);
    raw.setKeepAlive(true, 30_000);
    raw.on('error', () => undefined);
    void serve({ raw, address, spoke: place.spoke, proved: place.leave, wait: () => admission.wait() });
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
