import type { SourceFile } from '#app/configuration/read-files.ts';
import type { App } from '#app/app.ts';
import type { Actor } from '#app/actor.ts';
import type { SessionId } from '#domain/id.ts';
import type { Authority, Identity } from '#app/ports/identity.ts';
import type { PolicySource, PolicyFinding } from '#app/ports/policy.ts';
import type { Answer, Body, Params, Query, RouteName, ROUTES } from '#contract/routes.ts';
import type { KnownKeys } from './known-keys.ts';
import type { BrokerAddress } from './present/present-grant.ts';
import type { Wording } from './present/present-request.ts';

/** The parts of the world that the HTTP edge serves; `main/` puts them together. */
export interface ServerDeps {
  readonly app: App;
  readonly identity: Identity;
  readonly authority: Authority;
  readonly wording: Wording;
  readonly version: string;
  /** Base addresses under which people reach this server: `http://127.0.0.1:8484`. The first is written into links. */
  readonly addresses: readonly string[];
  readonly clientAddress: { of(peer: string, forwardedFor: string | readonly string[] | undefined): string };
  /** Verifies a signed request's head; @throws Refusal `unauthenticated` */
  readonly verifyRequest: VerifyRequest;
  readonly broker: () => BrokerAddress | null;
  /** Begins to read a recording. */
  readonly readRecording: () => RecordingReading;
  readonly policyTools: PolicyTools;
  readonly log: LogTools;
  readonly diagnose: (actor: Actor) => Promise<Answer<'doctor'>>;
  readonly metrics: () => Promise<string>;
  /** Whether anybody may read the log's tiles; otherwise whoever is signed in. */
  readonly publicLog: boolean;
  readonly rateLimit: RateLimit;
  readonly knownKeys: KnownKeys;
  /** A short random name for a failure, to find it in the server's log. */
  readonly newTrace: () => string;
}

export interface SignedHead {
  readonly keyId: string;
  readonly nonce: string;
  readonly contentDigest: string | null;
}

export interface VerifyRequest {
  (message: { method: string; authority: string; target: string; headers: Readonly<Record<string, readonly string[] | undefined>> }, now: Date, publicKeyOf: (keyId: string) => Promise<string | null>): Promise<SignedHead>;
}

/** Statements of a session, from its opened recording chunks in their order. `null` for bytes that no broker wrote. */
export interface RecordingReading {
  /** What was answered within this chunk. */
  chunk(bytes: Uint8Array): readonly RecordedStatement[] | null;
  /** What was never answered; and whether the session's end stands in the recording. */
  rest(): { readonly complete: boolean; readonly statements: readonly RecordedStatement[] };
}

export interface RecordedStatement {
  readonly at: Date;
  readonly text: string;
  readonly truncated: boolean;
  readonly long: { readonly bytes: number; readonly sha256: string } | null;
  readonly masked: boolean;
  readonly durationMs: number | null;
  readonly rows: number | null;
  readonly outcome: string;
}

export interface PolicyTools {
  /** `files`: the folder whose YAML names are looked up in; `null` for what there is. */
  lint(sources: readonly PolicySource[], files: readonly SourceFile[] | null, app: App): Promise<readonly PolicyFinding[]>;
  test(sources: readonly PolicySource[], tests: readonly PolicySource[]): Answer<'testPolicies'>;
}

export interface LogTools {
  /** The verifier key in C2SP form. */
  readonly verifier: string;
  /** A bundle that proves the entries with these indexes against the newest checkpoint. */
  /** The most entries that one proof holds. */
  readonly mostEvidence: number;
  evidence(app: App, indexes: readonly number[], checkpoint: string): Promise<unknown>;
  /** A static file of the log: `checkpoint`, `tile/...`; null when there is none. */
  file(app: App, path: string): Promise<{ readonly bytes: Uint8Array; readonly immutable: boolean } | null>;
}

export type RateKind = 'public' | 'signed_in' | 'password' | 'unverified' | 'log';

/** Counts calls by key; true while there is room. */
export interface RateLimit {
  allow(key: string, kind: RateKind): boolean;
  /** Takes back what `allow` counted: the call turned out not to be of the kind that is bounded. */
  giveBack(key: string, kind: RateKind): void;
}

export interface Call<N extends RouteName> {
  readonly actor: (typeof ROUTES)[N]['access'] extends 'public' ? null : Actor;
  readonly params: Params<N>;
  readonly query: Query<N>;
  readonly body: Body<N>;
  readonly clientAddress: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

export type Handlers = { readonly [N in RouteName]: (call: Call<N>) => Promise<Answer<N>> };
export type HandlersFor<N extends RouteName> = Pick<Handlers, N>;
export type { SessionId };
