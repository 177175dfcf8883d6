/** What a broker process does: waits for its settings, serves, and outlives its server only as long as it may. */
import type { BrokerId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { BrokerLog } from './carried/context.ts';
import type { Channel } from './channel.ts';
import { gateOver } from './gate-channel.ts';
import { startBroker, type Broker } from './postgres/broker.ts';
import type { TlsMaterial } from './postgres/doorway.ts';
import type { CancelKey } from './postgres/startup.ts';
import { startSshBroker, type SshBroker } from './ssh/broker.ts';
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
  let broker: Broker | undefined;
  let ssh: SshBroker | undefined;
  /** Came while the brokers were starting with older ones. */
  let renewed: TlsMaterial | undefined;
  let renewedSsh: SshMaterial | undefined;
  const { now, monotonic, random } = world;
  const log: BrokerLog = (level, message, facts) => report({ broker: 'log', level, message, facts });

  const start = async (order: Extract<BrokerOrder, { broker: 'start' }>): Promise<void> => {
    try {
      broker = await startBroker({
        ...order,
        broker: order.id,
        gate,
        now,
        monotonic,
        random,
        log,
        forwardCancel: (key) =>
          new Promise((resolve) => {
            cancels.set(++calls, resolve);
            report({ broker: 'cancel', call: calls, key });
          }),
      });
      if (renewed) broker.renewTls(renewed);
      if (order.ssh) {
        const { id, host, reusePort } = order;
        ssh = await startSshBroker({ broker: id, gate, host, reusePort, now, monotonic, random, log, ...order.ssh });
        if (renewedSsh) ssh.renewMaterial(renewedSsh);
      }
      report({ broker: 'listening', port: broker.port });
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
        renewed = order.tls;
        return broker?.renewTls(order.tls);
      case 'ssh':
        renewedSsh = order.material;
        return ssh?.renewMaterial(order.material);
      case 'cancel':
        return void (broker?.cancel(order.key) ?? Promise.resolve()).then(() => report({ broker: 'cancelled', call: order.call }));
      case 'cancelled':
        cancels.get(order.call)?.();
        return void cancels.delete(order.call);
      case 'stop':
        return void Promise.all([broker?.stop(), ssh?.stop()]).finally(() => world.exit(0));
      default:
    }
  });
  channel.onClose(() => {
    broker?.closeDoor();
    ssh?.closeDoor();
    const wait = setInterval(() => {
      if ((broker?.load.sessions ?? 0) + (ssh?.load.sessions ?? 0) > 0) return;
      clearInterval(wait);
      world.exit(0);
    }, 100);
  });
}
