import { Refusal } from '#domain/refusal.ts';
import type { Connector } from './ports/connector.ts';
import type { PolicyEngine } from './ports/policy.ts';
import type { Journal, Monotonic, NewId, Random } from './ports/runtime.ts';
import type { Secrets } from './ports/secrets.ts';
import type { Store } from './ports/store.ts';

/** What use cases need of the world. `main/` makes it once; the simulator makes its own. */
export interface App {
  readonly store: Store;
  readonly policy: PolicyEngine;
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly secrets: Secrets;
  readonly newId: NewId;
  readonly random: Random;
  readonly journal: Journal;
  readonly monotonic: Monotonic;
  readonly limits: Limits;
}

/** Quotas (attack H02) and bounds. */
export interface Limits {
  readonly pendingRequestsPerPrincipal: number;
  readonly liveGrantsPerPrincipal: number;
  readonly liveTokensPerPrincipal: number;
  /** Connections that wait in place for an approval, at one server: each looks at the store again and again. */
  readonly waitingConnectionsPerPrincipal: number;
  /** How long a request waits for its reviewers. */
  readonly requestTtlSeconds: number;
  /** How far ahead a start may lie. */
  readonly startWithinSeconds: number;
  /** A target whose clock is off by more than this gets no new grant. */
  readonly clockSkewMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  pendingRequestsPerPrincipal: 20,
  liveGrantsPerPrincipal: 50,
  liveTokensPerPrincipal: 50,
  waitingConnectionsPerPrincipal: 16,
  requestTtlSeconds: 24 * 3600,
  startWithinSeconds: 90 * 86_400,
  clockSkewMs: 60_000,
};

/** @throws Refusal `unsupported` for a type that no connector serves */
export function connectorFor(app: Pick<App, 'connectors'>, type: string): Connector {
  const connector = app.connectors.get(type);
  if (connector) return connector;
  throw new Refusal('unsupported', `no connector serves targets of type "${type}"`, {
    hint: `This build serves: ${[...app.connectors.keys()].join(', ')}.`,
  });
}
