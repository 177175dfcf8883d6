import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { Gate } from '#app/ports/gate.ts';
import type { Children } from '#app/ports/runtime.ts';
import type { BrokerId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { BrokerOrder, BrokerReport, SshDoor } from './broker-process.ts';
import { ipcChannel, type Channel } from './channel.ts';
import { serveGate } from './gate-channel.ts';
import { MOST_SLOTS, slotOf } from './postgres/cancel-keys.ts';
import type { BrokerLog } from './carried/context.ts';
import type { TlsMaterial } from './postgres/doorway.ts';
import type { SshMaterial } from './ssh/doorway.ts';

export interface BrokersSettings {
  /** The file of the composition root that a broker process runs. */
  readonly entry: string;
  /** How many processes share the port, 1 to 32. More than one needs Linux. */
  readonly count: number;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly tls: TlsMaterial;
  /** A second door in every process, for SSH; its port 0 for any free one. */
  readonly ssh?: SshDoor;
  readonly gate: Gate;
  /** One id for each process. */
  readonly brokerIds: readonly BrokerId[];
  readonly log: BrokerLog;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  /** Where the processes are entered while they run, to be ended at once when there is no time left. */
  readonly children?: Children;
}

export interface Brokers {
  readonly address: string;
  readonly port: number;
  /** `null` without a door for SSH. */
  readonly sshPort: number | null;
  /** The processes' ids, for a look from outside. */
  readonly pids: readonly number[];
  renewTls(tls: TlsMaterial): void;
  renewSsh(material: SshMaterial): void;
  /** Cuts all sessions, reports them, ends the processes. */
  stop(): Promise<void>;
}

const STOP_MS = 10_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** A process that lived this long starts again at once. */
const STEADY_MS = 60_000;
const longer = (pause: number): number => Math.min(pause * 2, LONGEST_PAUSE_MS);

/**
 * Starts broker processes on one port and keeps them running. They hold no secret by argument or environment: all comes
 * over the channel. @throws Refusal `unavailable` when the port is taken or a process can't start
 */
export async function startBrokers(settings: BrokersSettings): Promise<Brokers> {
  const { count, host, brokerIds } = settings;
  if (count < 1 || count > MOST_SLOTS || brokerIds.length < count) throw new RangeError('as many broker ids as processes, 1 to 32');
  let tls = settings.tls;
  let stopping = false;
  const port = await findPort(host, settings.port, POSTGRES_DOOR);
  let ssh = settings.ssh ? { ...settings.ssh, port: await findPort(host, settings.ssh.port, SSH_DOOR) } : null;
  const children: (Child | undefined)[] = [];
  const cancel = async (key: { pid: number; secret: number }) => children[slotOf(key)]?.cancel(key);

  const keep = async (slot: number, pause: number): Promise<void> => {
    const id = brokerIds[slot] as BrokerId;
    const child = new Child(settings, { broker: 'start', id, host, port, slot, tls, ssh, reusePort: count > 1 }, cancel);
    children[slot] = child;
    const born = settings.monotonic();
    void child.gone.then((how) => {
      if (children[slot] === child) children[slot] = undefined;
      if (stopping || !child.served) return;
      settings.log('error', 'a broker process ended and is started again', { slot, how });
      const next = settings.monotonic() - born > STEADY_MS ? FIRST_PAUSE_MS : longer(pause);
      setTimeout(() => again(slot, next), next);
    });
    await child.listening;
  };
  const again = (slot: number, pause: number): void => {
    if (stopping) return;
    keep(slot, pause).catch(() => setTimeout(() => again(slot, longer(pause)), longer(pause)));
  };

  const end = async (how: 'stop' | 'kill') => {
    stopping = true;
    await Promise.all(children.map((child) => child?.[how]()));
  };
  const stopAtOnce = () => end('kill');
  const stop = () => end('stop').finally(() => settings.children?.delete(stopAtOnce));
  settings.children?.add(stopAtOnce);
  await Promise.all(Array.from({ length: count }, (_, slot) => keep(slot, FIRST_PAUSE_MS))).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const tell = (order: BrokerOrder) => children.forEach((child) => child?.tell(order));
  return {
    address: host,
    port,
    sshPort: ssh?.port ?? null,
    get pids() {
      return pidsOf(children);
    },
    renewTls(renewed) {
      tls = renewed;
      tell({ broker: 'tls', tls });
    },
    renewSsh(material) {
      if (ssh) ssh = { ...ssh, material };
      tell({ broker: 'ssh', material });
    },
    stop,
  };
}

function pidsOf(children: readonly (Child | undefined)[]): readonly number[] {
  return children.flatMap((child) => (child?.pid === undefined ? [] : [child.pid]));
}

/** A door in the words of whoever has to set it right. */
interface DoorWords {
  readonly name: string;
  readonly portHint: string;
}
const POSTGRES_DOOR: DoorWords = { name: 'PostgreSQL broker', portHint: 'set another port for the PostgreSQL broker by BREVET_BROKER_PORT' };
const SSH_DOOR: DoorWords = { name: 'SSH broker', portHint: 'set another port for the SSH broker' };

/** Finds out whether the port is free: processes that share one would quietly share it with a stranger as well. */
async function findPort(host: string, port: number, { name, portHint }: DoorWords): Promise<number> {
  const probe = createServer();
  try {
    probe.listen({ host, port });
    await once(probe, 'listening');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'EADDRINUSE') throw new Refusal('unavailable', `port ${port} on ${host} is in use`, { hint: `Another Brevet may be running; or ${portHint}.` });
    throw new Refusal('invalid_configuration', `the ${name} can't listen on ${host}, port ${port} (${code})`, { hint: 'BREVET_BROKER_HOST is an address of this machine, such as 127.0.0.1 or 0.0.0.0; ports below 1024 need rights.' });
  }
  const found = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, 'close');
  return found;
}

/** One broker process, from its start to its end. */
class Child {
  readonly listening: Promise<void>;
  /** How it ended. */
  readonly gone: Promise<string>;
  served = false;
  readonly #process: ChildProcess;
  readonly #channel: Channel;
  readonly #cancels = new Map<number, () => void>();
  #calls = 0;

  constructor(
    settings: BrokersSettings,
    start: Extract<BrokerOrder, { broker: 'start' }>,
    cancel: (key: { pid: number; secret: number }) => Promise<unknown>,
  ) {
    this.#process = fork(settings.entry, [], {
      serialization: 'advanced',
      env: {},
      execArgv: ['--disable-proto=delete', '--disable-sigusr1', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#channel = ipcChannel(this.#process);
    this.gone = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => resolve(signal ?? `exit ${code}`));
      this.#process.once('error', (error) => resolve(error.message));
    });
    this.listening = new Promise((resolve, reject) => {
      void this.gone.then((how) => reject(new Refusal('unavailable', `the broker process did not start (${how})`)));
      this.#channel.onMessage((raw) => {
        const message = raw as BrokerReport;
        if (message.broker === 'listening') {
          this.served = true;
          resolve();
        } else if (message.broker === 'failed') {
          reject(new Refusal('unavailable', `the broker can't listen on port ${start.port} (${message.code})`));
          void this.stop();
        } else if (message.broker === 'log') settings.log(message.level, message.message, { ...message.facts, slot: start.slot });
        else if (message.broker === 'cancel') {
          void cancel(message.key).then(() => this.tell({ broker: 'cancelled', call: message.call }));
        } else if (message.broker === 'cancelled') {
          this.#cancels.get(message.call)?.();
          this.#cancels.delete(message.call);
        }
      });
    });
    this.listening.catch(() => undefined);
    serveGate(this.#channel, settings.gate, start.id);
    this.tell(start);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  tell(order: BrokerOrder): void {
    this.#channel.send(order);
  }

  cancel(key: { pid: number; secret: number }): Promise<unknown> {
    const done = new Promise<void>((resolve) => {
      this.#cancels.set(++this.#calls, resolve);
      this.tell({ broker: 'cancel', call: this.#calls, key });
    });
    return Promise.race([done, this.gone]);
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.gone;
  }

  async stop(): Promise<void> {
    this.tell({ broker: 'stop' });
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    await this.gone;
    clearTimeout(timer);
  }
}
