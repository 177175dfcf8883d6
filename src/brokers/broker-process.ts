/** What a broker process does: waits for its settings, serves, and outlives its server only as long as it may. */
import type { BrokerId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { BrokerLog } from './carried/context.ts';
import type { Channel } from './channel.ts';
import { gateOver } from './gate-channel.ts';
import { startBroker, type Broker } from './postgres/broker.ts';
import type { TlsMaterial } from './postgres/doorway.ts';
import type { CancelKey } from './postgres/startup.ts';
import { startSshBroker, type SshBroker, type SshBrokerSettings } from './ssh/broker.ts';
import type { SshMaterial } from './ssh/doorway.ts';

/** The door for SSH, beside the one for PostgreSQL. */
export interface SshDoor {
  readonly port: number;
  readonly material: SshMaterial;
}

/** From the server to a broker process. */
export type BrokerOrder =
  | {
      readonly broker: 'start';
      readonly id: BrokerId;
      readonly host: string;
      readonly port: number;
      readonly reusePort: boolean;
      readonly slot: number;
      readonly tls: TlsMaterial;
      readonly ssh: SshDoor | null;
    }
  | { readonly broker: 'tls'; readonly tls: TlsMaterial }
  | { readonly broker: 'ssh'; readonly material: SshMaterial }
  | { readonly broker: 'cancel'; readonly call: number; readonly key: CancelKey }
  | { readonly broker: 'cancelled'; readonly call: number }
  | { readonly broker: 'stop' };

type StartOrder = Extract<BrokerOrder, { broker: 'start' }>;

/** From a broker process to the server. */
export type BrokerReport =
  | { readonly broker: 'listening'; readonly port: number }
  | { readonly broker: 'failed'; readonly code: string }
  | { readonly broker: 'cancel'; readonly call: number; readonly key: CancelKey }
  | { readonly broker: 'cancelled'; readonly call: number }
  | { readonly broker: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly message: string; readonly facts: JsonObject };

export interface ProcessWorld {
  readonly now: () => number;
  readonly monotonic: () => number;
  readonly random: (size: number) => Uint8Array;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

/**
 * Runs the brokers of a process at the end of `channel`. When the server is lost nobody new is let in at once; sessions live until their
 * deadline or until their grace without a lease is over, whichever comes first, and then the process ends.
 */
export function runBrokerProcess(channel: Channel, world: ProcessWorld): void {
  const gate = gateOver(channel);
  const report = (message: BrokerReport) => channel.send(message);
  const cancels = new Map<number, () => void>();
  let calls = 0;
  const log: BrokerLog = (level, message, facts) => report({ broker: 'log', level, message, facts });
  const forwardCancel = (key: CancelKey) =>
    new Promise<void>((resolve) => {
      cancels.set(++calls, resolve);
      report({ broker: 'cancel', call: calls, key });
    });
  const doors = new Doors({ ...world, gate, log }, forwardCancel);
  const start = async (order: StartOrder): Promise<void> => {
    try {
      report({ broker: 'listening', port: await doors.open(order) });
    } catch (error) {
      report({ broker: 'failed', code: (error as NodeJS.ErrnoException).code ?? 'unknown' });
    }
  };

  channel.onMessage((raw) => {
    const order = raw as BrokerOrder;
    switch (order.broker) {
      case 'start':
        return void start(order);
      case 'tls':
        return doors.renewTls(order.tls);
      case 'ssh':
        return doors.renewSsh(order.material);
      case 'cancel':
        return void doors.cancel(order.key).then(() => report({ broker: 'cancelled', call: order.call }));
      case 'cancelled':
        cancels.get(order.call)?.();
        return void cancels.delete(order.call);
      case 'stop':
        return void doors.stop().finally(() => world.exit(0));
      default:
    }
  });
  channel.onClose(() => {
    doors.close();
    const wait = setInterval(() => {
      if (doors.sessions > 0) return;
      clearInterval(wait);
      world.exit(0);
    }, 100);
  });
}

/** The brokers of a process, one for each protocol. What comes while they start counts when they have. */
class Doors {
  readonly #shared: Pick<SshBrokerSettings, 'gate' | 'now' | 'monotonic' | 'random' | 'log'>;
  readonly #forwardCancel: (key: CancelKey) => Promise<void>;
  #postgres: Broker | undefined;
  #ssh: SshBroker | undefined;
  #tls: TlsMaterial | undefined;
  #material: SshMaterial | undefined;

  constructor(shared: Pick<SshBrokerSettings, 'gate' | 'now' | 'monotonic' | 'random' | 'log'>, forwardCancel: (key: CancelKey) => Promise<void>) {
    this.#shared = shared;
    this.#forwardCancel = forwardCancel;
  }

  /** Answers the port for PostgreSQL. @throws the system's error when a port can't be had */
  async open({ id, host, port, reusePort, slot, tls, ssh }: StartOrder): Promise<number> {
    const shared = { ...this.#shared, broker: id, host, reusePort };
    this.#postgres = await startBroker({ ...shared, port, slot, tls, forwardCancel: this.#forwardCancel });
    if (this.#tls) this.#postgres.renewTls(this.#tls);
    if (ssh) this.#ssh = await startSshBroker({ ...shared, ...ssh });
    if (this.#material) this.#ssh?.renewMaterial(this.#material);
    return this.#postgres.port;
  }

  renewTls(tls: TlsMaterial): void {
    this.#tls = tls;
    this.#postgres?.renewTls(tls);
  }

  renewSsh(material: SshMaterial): void {
    this.#material = material;
    this.#ssh?.renewMaterial(material);
  }

  async cancel(key: CancelKey): Promise<void> {
    await this.#postgres?.cancel(key);
  }

  get sessions(): number {
    return (this.#postgres?.load.sessions ?? 0) + (this.#ssh?.load.sessions ?? 0);
  }

  close(): void {
    this.#postgres?.closeDoor();
    this.#ssh?.closeDoor();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#postgres?.stop(), this.#ssh?.stop()]);
  }
}
