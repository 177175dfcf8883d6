import { hostname } from 'node:os';
import { DEFAULT_LIMITS, type App } from '#app/app.ts';
import { localGate } from '#app/gate/local-gate.ts';
import type { Identity } from '#app/ports/identity.ts';
import type { Children } from '#app/ports/runtime.ts';
import { runReconciler } from '#app/reconcile/reconciler.ts';
import { holdRootKeys, takeUpRootKeys } from '#app/root-keys/hold-root-keys.ts';
import { postgresConnector } from '#connectors/postgres/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { encodeEntry } from '#log/entry.ts';
import { createPolicyEngine } from '#policy/cedar-engine.ts';
import { loadGivenKeys } from '#secrets/loaded-keys.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { makeIdentity } from '#signin/identity.ts';
import { httpServer } from '#server/http-server.ts';
import { postgresStore } from '#store/postgres-store.ts';
import { runSequencer, sqlRoll } from '#store/sequencer.ts';
import { diagnose } from './diagnose.ts';
import { heedProxies, type HeededProxies } from './heed-proxies.ts';
import { serverDeps } from './server-deps.ts';
import { checkpointSigner, tree } from './log-tools.ts';
import { openBrokers } from './open-brokers.ts';
import { openStore } from './open-store.ts';
import { openOwnKeys, type OwnKeys } from './own-keys.ts';
import { openRootKeys } from './root-keys.ts';
import { monotonic, newId, openJournal, random } from './runtime.ts';
import type { Settings } from './settings.ts';
import { readStoreAddress } from './store-address.ts';
import { versionOf } from './version.ts';

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

/** One server: the HTTP edge, the reconciler, the sequencer and its brokers, on one store. Any number may share a store. */
export async function startServer(settings: Settings, children: Children = new Set()): Promise<RunningServer> {
  const journal = openJournal(settings.journal);
  const version = versionOf();
  const proxies = await refuseEarly(settings);
  await using opening = new AsyncDisposableStack();
  const opened = await openStore(settings, version, journal, children);
  opening.defer(opened.close);

  const rootKeys = await openRootKeys(settings, opened.pool, 'create');
  const secrets = makeSecrets(rootKeys.ring, random);
  const store = opening.use(postgresStore({ pool: opened.pool, newId, secrets, journal, monotonic, encodeEntry }));
  const holding = { keys: rootKeys.keys, server: Buffer.from(random.bytes(12)).toString('hex'), host: hostname() };
  await takeUpRootKeys({ store, journal }, holding);
  const keys = await openOwnKeys({ store, secrets }, settings.log.origin);
  const app: App = {
    store, secrets, newId, random, journal, monotonic,
    policy: createPolicyEngine(),
    connectors: new Map([['postgresql', postgresConnector({ installation: keys.installation, random: (count) => random.bytes(count), now: () => new Date() })]]),
    limits: DEFAULT_LIMITS,
  };
  const identity = makeIdentity({ random, decoySecret: keys.challenge });

  const running = new AbortController();
  const loops = Promise.all([
    runSequencer({ roll: sqlRoll(opened.pool), store, tree, sign: checkpointSigner(keys.logSigner), journal, monotonic }, running.signal),
    runReconciler(app, { concurrency: 16, perTarget: 8, sweepEveryMs: 60_000 }, running.signal),
    holdRootKeys(app, holding, monotonic, running.signal),
  ]);
  opening.defer(async () => {
    running.abort();
    await loops;
  });
  const gate = opening.use(localGate(app, identity));
  const shown = await openBrokers(settings, app, keys, gate, children);
  const brokers = shown?.brokers ?? null;
  if (shown) opening.defer(() => shown.stop());

  const deps = serverDeps({
    app, identity, keys, settings, version, clientAddress: proxies.clientAddress,
    broker: () => (brokers ? { host: settings.broker.name, port: brokers.port } : null),
    diagnose: () => diagnose({ app, settings, version, store: opened, rootKeys, unnamedProxy: proxies.unnamed, broker: () => (brokers ? { port: brokers.port, processes: brokers.pids.length, certificate: shown?.certificate.current ?? null } : null) }),
  });
  const http = await httpServer(deps.deps);
  const address = await listen(http, settings);
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

async function listen(http: Awaited<ReturnType<typeof httpServer>>, settings: Settings): Promise<string> {
  const { host, port } = settings.http;
  return await http.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') throw new Refusal('unavailable', `port ${port} on ${host} is in use`, { hint: 'Another Brevet may be running; or set another port for the API by BREVET_HTTP_PORT.' });
    throw new Refusal('invalid_configuration', `the API can't listen on ${host}, port ${port} (${error.code ?? error.message})`, { hint: 'BREVET_HTTP_HOST is an address of this machine, such as 127.0.0.1 or 0.0.0.0; ports below 1024 need rights.' });
  });
}

/** What is wrong in itself is refused before anything is made. */
async function refuseEarly(settings: Settings): Promise<HeededProxies> {
  const proxies = heedProxies(settings);
  if (settings.database !== null) readStoreAddress(settings.database);
  if (settings.rootKey !== null) await loadGivenKeys(settings.rootKey, 'BREVET_ROOT_KEY');
  return proxies;
}
