import { DEFAULT_LIMITS, type App } from '#app/app.ts';
import { localGate } from '#app/gate/local-gate.ts';
import type { Gate } from '#app/ports/gate.ts';
import type { Authority, Identity } from '#app/ports/identity.ts';
import type { Journal, NewId } from '#app/ports/runtime.ts';
import { runReconciler } from '#app/reconcile/reconciler.ts';
import { makeId } from '#domain/id.ts';
import { encodeEntry } from '#log/entry.ts';
import { runSequencer } from '#store/sequencer.ts';
import { tree } from '#main/log-tools.ts';
import { SECRET, simConnector } from './connector.ts';
import { simPolicy } from './policy.ts';
import { PENDING_LIMIT } from './limits.ts';
import { Process } from './process.ts';
import { simAuthority, simIdentity, simSecrets } from './secrets.ts';
import { connectionLost, databaseError } from './store/database-error.ts';
import { twinStore, type TwinStore } from './store/twin-store.ts';
import type { World } from './world.ts';

/** How long a driver waits for an answer that does not come (src/store/pool.ts). */
const ANSWER_MS = 20_000;

export type CommitFate = 'answer lost' | 'lost';

/** One server: the real use cases, reconciler, gate and sequencer, on a connection to the store. */
export class SimNode {
  readonly name: string;
  process: Process;
  store: TwinStore;
  app: App;
  gate: Gate & Disposable;
  identity: Identity;
  authority: Authority;
  /** Its next commits end so. */
  readonly fates: CommitFate[] = [];
  readonly #world: World;

  /** Starts; `incarnation` counts its starts. */
  constructor(world: World, name: string, incarnation: number, isConsole = false) {
    this.#world = world;
    this.name = name;
    const rng = world.rng.fork(`${name}/${incarnation}`);
    this.process = new Process(name, rng, world.scheduler, rng.between(-2e-4, 2e-4));
    this.process.effect = (when) => this.#effect(when);
    const { process } = this;
    const newId: NewId = (kind, now) => makeId(kind, now.getTime(), process.rng.bytes(10));
    const secrets = simSecrets(() => world.keysDownUntil > world.scheduler.now);
    const journal = this.#journal();
    this.store = twinStore({
      memory: world.memory, newId, secrets, journal, encodeEntry,
      clockwork: { now: () => world.readStoreClock(), step: (what) => this.#storeStep(what), later: (what, run) => this.#notice(what, run) },
      fate: () => this.#fate(),
      committed: (changes) => {
        world.committed(changes, this.name);
        process.effect('after');
      },
    });
    const connector = simConnector({ process, network: world.network, targets: world.targets, now: () => world.scheduler.now, password: () => SECRET + Buffer.from(process.rng.bytes(9)).toString('base64url') });
    this.app = {
      store: this.store, policy: simPolicy, connectors: new Map([['sim', connector]]), secrets, newId, random: process.rng, journal, monotonic: process.monotonic,
      limits: { ...DEFAULT_LIMITS, requestTtlSeconds: 1800, pendingRequestsPerPrincipal: PENDING_LIMIT, liveGrantsPerPrincipal: 6 },
    };
    this.identity = simIdentity(process.rng);
    this.authority = simAuthority(process.rng);
    this.gate = localGate(this.app, this.identity);
    if (!isConsole) this.#runLoops(journal);
  }

  #runLoops(journal: Journal): void {
    const forEver = new AbortController().signal;
    const sign = (size: number, root: Uint8Array) => {
      if (this.#world.signerDownUntil > this.#world.scheduler.now) throw new Error('the signing key does not answer');
      return `${size} ${Buffer.from(root).toString('hex')}`;
    };
    const lost = (error: unknown) => this.#world.violate('onlyRefusalsLeave', `a loop ended: ${String(error)}`);
    runReconciler(this.app, { concurrency: 4, perTarget: 3, sweepEveryMs: 60_000 }, forEver).catch(lost);
    runSequencer({ roll: this.store.roll, store: this.store, tree, sign, journal, monotonic: this.process.monotonic }, forEver).catch(lost);
  }

  get healthy(): boolean {
    return this.process.alive && !this.process.paused && this.#world.network.cutUntil(this.name, 'store') === 0;
  }

  die(): void {
    this.process.alive = false;
    this.store.disconnect();
    for (const target of this.#world.targets) target.forget(this.process);
  }

  #journal(): Journal {
    const note = (level: string) => (message: string, facts: Readonly<Record<string, unknown>> = {}) => {
      const line = `${message} ${JSON.stringify(facts)}`;
      if (line.includes(SECRET)) this.#world.violate('noSecretIsTold', `the journal holds one: ${message}`);
      this.#world.scheduler.tell(`${this.name} ${level}: ${line}`);
    };
    return { info: note('info'), warn: note('warn'), error: note('error') };
  }

  async #storeStep(what: string): Promise<void> {
    const { process } = this;
    const { rng } = process;
    await process.wait(what, this.#world.calm || !rng.chance(0.01) ? rng.between(0.3, 3) : rng.between(20, 600));
    const cut = this.#world.network.cutUntil(this.name, 'store') - this.#world.scheduler.now;
    if (cut > 0) {
      await process.wait(`${what}, without an answer`, Math.min(cut + 1, ANSWER_MS));
      if (cut > ANSWER_MS) throw connectionLost();
    }
    if (this.#world.storeDown) throw connectionLost();
    const { logBroken, scheduler } = this.#world;
    if (what === 'log.insert' && logBroken && logBroken.until > scheduler.now && rng.chance(logBroken.share)) throw databaseError(logBroken.code, null, 'the log takes no entry');
  }

  #notice(what: string, run: () => void): void {
    const { process } = this;
    const { scheduler, network, noticesLostUntil, calm } = this.#world;
    const lost = network.cutUntil(this.name, 'store') > 0 || noticesLostUntil > scheduler.now;
    if (lost || !process.alive) return;
    const times = !calm && process.rng.chance(0.02) ? 2 : 1;
    for (let i = 0; i < times; i++) scheduler.at(scheduler.now + process.rng.between(0.3, !calm && process.rng.chance(0.02) ? 800 : 4), 'step', what, process, run);
  }

  #fate(): 'done' | CommitFate {
    this.process.effect('before');
    if (!this.process.alive) return 'lost';
    const fate = this.fates.shift() ?? 'done';
    if (fate !== 'done') this.#world.excuse('everything', this.#world.scheduler.now + 16_000);
    return fate;
  }

  #effect(when: 'before' | 'after'): void {
    if (this.process.alive) this.#world.effect(this, when);
  }
}
