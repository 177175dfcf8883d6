import { fileURLToPath } from 'node:url';
import type { App } from '#app/app.ts';
import type { Gate } from '#app/ports/gate.ts';
import type { Children } from '#app/ports/runtime.ts';
import { startBrokers, type Brokers } from '#brokers/start-brokers.ts';
import type { BrokerId } from '#domain/id.ts';
import { renewCertificate, type Issue, type ShownCertificate } from './broker-certificate.ts';
import type { OwnKeys } from './own-keys.ts';
import { monotonic, newId } from './runtime.ts';
import type { Settings } from './settings.ts';

export interface ShownBrokers {
  readonly brokers: Brokers;
  readonly certificate: ShownCertificate;
  stop(): Promise<void>;
}

/** The broker processes of a server, and the certificate they show, renewed in time. `null` when the settings want none here. */
export async function openBrokers(settings: Settings, app: App, keys: OwnKeys, gate: Gate, children: Children): Promise<ShownBrokers | null> {
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
    children,
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
