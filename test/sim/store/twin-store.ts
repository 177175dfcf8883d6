import type { Journal, NewId } from '#app/ports/runtime.ts';
import type { Secrets } from '#app/ports/secrets.ts';
import type { Store, Topic, Tx } from '#app/ports/store.ts';
import { Refusal } from '#domain/refusal.ts';
import { logWriter, type EncodeEntry } from '#store/log-writer.ts';
import { mayRunAgain, refusalFor } from '#store/refuse.ts';
import type { LogRoll } from '#store/sequencer.ts';
import { catalogueTable } from './catalogue.ts';
import type { Clockwork } from './clockwork.ts';
import { credentialTable } from './credentials.ts';
import { connectionLost } from './database-error.ts';
import { entryKeeper, entryTable, logRows } from './entries.ts';
import { grantTable } from './grants.ts';
import type { Memory } from './memory.ts';
import { partTable } from './parts.ts';
import { policyTable } from './policies.ts';
import { principalTable } from './principals.ts';
import { requestTable } from './requests.ts';
import { rootKeyTable } from './root-keys.ts';
import { sessionTable } from './sessions.ts';
import { Transaction, type Change } from './transaction.ts';

export interface TwinOptions {
  readonly memory: Memory;
  readonly clockwork: Clockwork;
  readonly newId: NewId;
  readonly secrets: Pick<Secrets, 'newSubjectKey' | 'sealPersonal'>;
  readonly journal: Journal;
  readonly encodeEntry: EncodeEntry;
  /** Asked at each commit that writes: whether the answer, or the commit and the answer, are lost. */
  readonly fate?: () => 'done' | 'answer lost' | 'lost';
  readonly committed?: (changes: readonly Change[]) => void;
}

export interface TwinStore extends Store {
  readonly roll: LogRoll;
  /** The database gives up on this node's connections: what is open is rolled back. */
  loseAll(): void;
  /** The listening connection stands again: what came in between is lost, so that every listener is called once. */
  reheard(): void;
  /** The node is gone: its connections break, and nobody listens any more. */
  disconnect(): void;
}

const ATTEMPTS = 3;
interface Notice {
  readonly topic: Topic;
  readonly payload: string;
}

/** One node's connections to the shared memory: what src/store/postgres-store.ts is to PostgreSQL. */
export function twinStore(options: TwinOptions): TwinStore {
  const { memory, clockwork } = options;
  const callbacks = new Map<Topic, Set<(payload: string) => void>>();
  const open = new Set<Transaction>();
  const call = (topic: Topic, payload: string) => callbacks.get(topic)?.forEach((callback) => callback(payload));
  const hear = (topic: Topic, payload: string) => {
    if (callbacks.has(topic)) clockwork.later(`notice ${topic}`, () => call(topic, payload));
  };
  memory.listeners.add(hear);

  const loseAll = () => {
    for (const tx of open) tx.lose();
    open.clear();
  };
  // The time is read; the first statement comes a trip later.
  const begin = (): Transaction => {
    const tx = new Transaction(memory, clockwork);
    open.add(tx);
    return tx;
  };
  const commit = async (tx: Transaction, notices: readonly Notice[]): Promise<void> => {
    if (tx.failed) throw new Refusal('internal', 'the transaction was rolled back');
    if (tx.hasWritten || notices.length > 0) await tx.trip('commit');
    const fate = tx.hasWritten ? (options.fate?.() ?? 'done') : 'done';
    if (fate === 'lost') throw connectionLost();
    const changes = tx.commit();
    if (changes.length > 0) options.committed?.(changes);
    for (const { topic, payload } of notices) for (const listener of memory.listeners) listener(topic, payload);
    if (fate === 'answer lost') throw connectionLost();
    // The answer is on its way: whoever sleeps or dies now does not know that it was done.
    if (changes.length > 0) await clockwork.step('committed');
  };
  const once = async <T>(work: (tx: Transaction, finish: (notices: readonly Notice[]) => Promise<void>) => Promise<T>): Promise<T> => {
    const tx = begin();
    try {
      return await work(tx, (notices) => commit(tx, notices));
    } finally {
      tx.rollback();
      open.delete(tx);
    }
  };

  return {
    transaction: async (work) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(async (tx, finish) => {
            const { port, flush, notices } = transactionPort(tx, options);
            const answer = await work(port);
            const logged = tx.failed ? false : await flush();
            await finish([...notices.values()]);
            if (logged) call('log', '');
            return answer;
          });
        } catch (error) {
          if (mayRunAgain(error) && attempt < ATTEMPTS) continue;
          throw refusalFor(error);
        }
      }
    },
    listen: (topic, callback) => {
      const own = (payload: string) => callback(payload);
      callbacks.set(topic, (callbacks.get(topic) ?? new Set()).add(own));
      return () => void callbacks.get(topic)?.delete(own);
    },
    roll: {
      transaction: (work) => once(async (tx, finish) => {
        const notices: Notice[] = [];
        const answer = await work(logRows(tx, (size) => notices.push({ topic: 'log', payload: String(size) })));
        await finish(notices);
        return answer;
      }),
    },
    loseAll,
    reheard: () => {
      for (const topic of callbacks.keys()) call(topic, '');
    },
    disconnect: () => {
      memory.listeners.delete(hear);
      loseAll();
    },
  };
}

function transactionPort(tx: Transaction, options: TwinOptions) {
  const log = logWriter(entryKeeper(tx, options.memory), tx.now, options);
  const notices = new Map<string, Notice>();
  const notify = async (topic: Topic, payload = '') => {
    notices.set(`${topic} ${payload}`, { topic, payload });
  };
  // Most transactions are a look at one table: the others' methods are not made for nothing.
  const port: Tx = {
    now: tx.now,
    log: async (event) => log.add(event),
    notify,
    get principals() {
      return principalTable(tx, options.secrets);
    },
    get catalogue() {
      return catalogueTable(tx);
    },
    get policies() {
      return policyTable(tx);
    },
    get requests() {
      return requestTable(tx);
    },
    get grants() {
      return grantTable(tx, notify);
    },
    get parts() {
      return partTable(tx);
    },
    get sessions() {
      return sessionTable(tx);
    },
    get credentials() {
      return credentialTable(tx);
    },
    get entries() {
      return entryTable(tx);
    },
    get rootKeys() {
      return rootKeyTable(tx);
    },
  };
  return { port, flush: () => log.flush(), notices };
}
