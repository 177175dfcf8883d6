import { Buffer } from 'node:buffer';
import type { App } from '#app/app.ts';
import type { Identity } from '#app/ports/identity.ts';
import { BadRecording, RecordingReader, type StatementRow } from '#brokers/postgres/recording.ts';
import { describeText } from '#contract/free-text.ts';
import { renderVerdict } from '#policy/render-verdict.ts';
import type { RecordedStatement, RecordingReading, ServerDeps } from '#server/deps.ts';
import { knownKeys } from '#server/known-keys.ts';
import { rateLimit } from '#server/rate-limit.ts';
import { verifyRequest } from '#signin/request-signature.ts';
import { logTools } from './log-tools.ts';
import { metrics } from './metrics.ts';
import type { OwnKeys } from './own-keys.ts';
import { policyTools } from './policy-tools.ts';
import { random } from './runtime.ts';
import type { Settings } from './settings.ts';

export interface EdgeParts {
  readonly app: App;
  readonly identity: Identity;
  readonly keys: OwnKeys;
  readonly settings: Settings;
  readonly version: string;
  readonly broker: ServerDeps['broker'];
  readonly clientAddress: ServerDeps['clientAddress'];
  readonly diagnose: ServerDeps['diagnose'];
}

/** Everything that the HTTP edge serves. Its own address is known only once it listens. */
export function serverDeps(parts: EdgeParts): { readonly deps: ServerDeps; listening(address: string): void } {
  const { app, identity, keys, settings, version } = parts;
  const given = settings.addresses?.split(',').map((one) => one.trim().replace(/\/$/, '')).filter(Boolean) ?? [];
  const addresses = [...given];
  const deps: ServerDeps = {
    app, identity, version, addresses,
    authority: keys.authority,
    wording: { explain: renderVerdict, escape: (text) => (describeText(text).flags.some((flag) => flag !== 'non_ascii') ? describeText(text).display : null) },
    clientAddress: parts.clientAddress,
    verifyRequest: (message, now, publicKeyOf) => verifyRequest(message, { now, publicKeyOf, authorities: addresses.map((one) => new URL(one).host) }),
    broker: parts.broker,
    readRecording: readStatements,
    policyTools: policyTools(app.policy),
    log: logTools(keys.logSigner),
    diagnose: parts.diagnose,
    metrics: metrics(app),
    publicLog: settings.log.public,
    rateLimit: rateLimit({ public: { burst: 60, perSecond: 1 }, signed_in: { burst: 400, perSecond: 100 }, password: { burst: 10, perSecond: 1 / 30 }, unverified: { burst: 500, perSecond: 10 }, log: { burst: 400, perSecond: 100 } }, () => performance.now()),
    knownKeys: knownKeys(() => performance.now()),
    newTrace: () => Buffer.from(random.bytes(6)).toString('hex'),
  };
  return {
    deps,
    listening(address) {
      const { port, hostname } = new URL(address);
      const names = [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
      // "Every address of this machine" is none that anybody could be sent to.
      if (hostname !== '0.0.0.0' && hostname !== '[::]') names.unshift(address);
      for (const name of names) if (!addresses.includes(name)) addresses.push(name);
    },
  };
}

/** A recording as rows; one that was tampered with on its way tells so instead of showing half. */
function readStatements(): RecordingReading {
  const reader = new RecordingReader();
  const wire = (rows: readonly StatementRow[]): readonly RecordedStatement[] => {
    const start = reader.header === null ? 0 : Date.parse(reader.header.startedAt);
    return rows.map((one) => ({ at: new Date(start + one.at), text: one.sql, truncated: one.truncated, long: one.long, masked: one.masked, durationMs: one.durationMs, rows: one.rows, outcome: one.outcome === 'error' ? `error ${one.said}` : one.outcome }));
  };
  return {
    chunk(bytes) {
      try {
        reader.chunk(bytes);
        return wire(reader.take());
      } catch (error) {
        if (!(error instanceof BadRecording)) throw error;
        return null;
      }
    },
    rest() {
      const { statements, ended } = reader.result();
      return { complete: ended !== null, statements: wire(statements) };
    },
  };
}
