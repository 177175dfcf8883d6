import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_LIMITS, type App } from '#app/app.ts';
import { localGate } from '#app/gate/local-gate.ts';
import type { BrokerId } from '#domain/id.ts';
import { runReconciler } from '#app/reconcile/reconciler.ts';
import { startBrokers, type Brokers } from '#brokers/start-brokers.ts';
import { postgresConnector } from '#connectors/postgres/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { encodeEntry } from '#log/entry.ts';
import { createPolicyEngine } from '#policy/cedar-engine.ts';
import { fileKeyProvider } from '#secrets/key-file.ts';
import { givenKeyProvider, KeyRing } from '#secrets/root-key.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { makeIdentity } from '#signin/identity.ts';
import { httpServer } from '#server/http-server.ts';
import { postgresStore } from '#store/postgres-store.ts';
import { runSequencer, sqlRoll } from '#store/sequencer.ts';
import { renewCertificate, type Issue, type ShownCertificate } from './broker-certificate.ts';
import { diagnose } from './diagnose.ts';
import { serverDeps } from './server-deps.ts';
import { checkpointSigner, tree } from './log-tools.ts';
import { openStore } from './open-store.ts';
import { openOwnKeys, type OwnKeys } from './own-keys.ts';
import { monotonic, newId, openJournal, random } from './runtime.ts';
import type { Settings } from './settings.ts';
import type { Identity } from '#app/ports/identity.ts';

export interface RunningServer {
  readonly app: App;
  readonly identity: Identity;
  readonly keys: OwnKeys;
  /** Where the API is: `http://127.0.0.1:8484`. */
  readonly address: string;
  /** Where people are sent: the first of the settings' `addresses`, or else where the API is. */
  readonly publicAddress: string;
  readonly brokerPort: number | null;
  readonly brokerPids: readonly number[];
  readonly storePid: number | null;
  /** Ends sessions, finishes what is under way, closes the store. May be called again. */
  stop(): Promise<void>;
}

export function versionOf(): string {
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}

/** One server: the HTTP edge, the reconciler, the sequencer and its brokers, on one store. Any number may share a store. */
export async function startServer(settings: Settings): Promise<RunningServer> {
  const journal = openJournal(settings.journal);
  const version = versionOf();
  await using opening = new AsyncDisposableStack();
  const opened = await openStore(settings, version, journal);
  opening.defer(opened.close);

  const { ring, keyProvider } = await openRing(settings, opened.pool);
  const secrets = makeSecrets(ring, random);
  const store = postgresStore({ pool: opened.pool, newId, secrets, journal, monotonic, encodeEntry });
  opening.use(store);
  const app: App = {
    store, secrets, newId, random, journal, monotonic,
    policy: createPolicyEngine(),
    connectors: new Map([['postgresql', postgresConnector({ random: (count) => random.bytes(count), now: () => new Date() })]]),
    limits: DEFAULT_LIMITS,
  };
  const keys = await openOwnKeys(app, settings.log.origin);
  const identity = makeIdentity({ random, decoySecret: keys.challenge });

  const running = new AbortController();
  const loops = Promise.all([
    runSequencer({ roll: sqlRoll(opened.pool), store, tree, sign: checkpointSigner(keys.logSigner), journal, monotonic }, running.signal),
    runReconciler(app, { concurrency: 16, perTarget: 8, sweepEveryMs: 60_000 }, running.signal),
  ]);
  opening.defer(async () => {
    running.abort();
    await loops;
  });
  const gate = opening.use(localGate(app, identity));
  const shown = await openBrokers(settings, app, keys, gate);
  const brokers = shown?.brokers ?? null;
  if (shown) opening.defer(() => shown.stop());

  const deps = serverDeps({
    app, identity, keys, settings, version,
    broker: () => (brokers ? { host: settings.broker.name, port: brokers.port } : null),
    diagnose: () => diagnose({ app, settings, version, store: opened.description, rootKeys: keyProvider, broker: () => (brokers ? { port: brokers.port, processes: brokers.pids.length, certificate: shown?.certificate.current ?? null } : null) }),
  });
  const http = await httpServer(deps.deps);
  const address = await http.listen({ host: settings.http.host, port: settings.http.port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new Refusal('unavailable', `port ${settings.http.port} is taken`, { hint: 'Another Brevet may be running; or set another port by BREVET_HTTP_PORT.' });
  });
  deps.listening(address);
  opening.defer(async () => {
    http.server.closeAllConnections();
    await http.close();
  });

  const everything = opening.move();
  return {
    app, identity, keys, address,
    publicAddress: deps.deps.addresses[0] ?? address,
    brokerPort: brokers?.port ?? null,
    brokerPids: brokers?.pids ?? [],
    storePid: opened.embedded?.pid ?? null,
    stop: () => everything.disposeAsync(),
  };
}

/** A missing key file is made on a fresh store only: beside sealed rows it would be a disaster hidden. */
async function openRing(settings: Settings, pool: { query(sql: string): Promise<{ rows: unknown[] }> }): Promise<{ ring: KeyRing; keyProvider: string }> {
  const sealed = await pool.query('select 1 from brevet.own_keys limit 1');
  const provider = settings.rootKey === null
    ? fileKeyProvider({ path: `${settings.data}/root.key`, random, whenMissing: sealed.rows.length === 0 ? 'create' : 'refuse' })
    : givenKeyProvider(settings.rootKey, 'BREVET_ROOT_KEY');
  const keys = await provider.rootKeys();
  return { ring: new KeyRing(keys), keyProvider: `${provider.id}, ${keys.length} loaded` };
}

interface ShownBrokers {
  readonly brokers: Brokers;
  readonly certificate: ShownCertificate;
  stop(): Promise<void>;
}

async function openBrokers(settings: Settings, app: App, keys: OwnKeys, gate: ReturnType<typeof localGate>): Promise<ShownBrokers | null> {
  const { processes, host, port, name } = settings.broker;
  if (processes === 0) return null;
  const now = () => app.store.transaction(async (tx) => tx.now);
  const started = await now();
  const names = [...new Set([name, 'localhost', '127.0.0.1', ...(host === '0.0.0.0' || host === '::' ? [] : [host])])];
  const issue: Issue = (at) => keys.authority.issueServer(names, at);
  const certificate: ShownCertificate = { current: issue(started) };
  const authority = keys.authority.certificate;
  const brokers = await startBrokers({
    entry: fileURLToPath(new URL('./broker.ts', import.meta.url)),
    count: processes,
    host,
    port,
    tls: { cert: certificate.current.certificate, key: certificate.current.privateKey, ca: [authority] },
    gate,
    brokerIds: Array.from({ length: processes }, (): BrokerId => newId('broker', started)),
    log: (level, message, facts) => app.journal[level](message, facts),
    monotonic: monotonic.now,
  });
  const running = new AbortController();
  const renewing = renewCertificate(certificate, { issue, brokers, authority, now, monotonic, journal: app.journal }, running.signal);
  return {
    brokers,
    certificate,
    stop: async () => {
      running.abort();
      await renewing;
      await brokers.stop();
    },
  };
}
