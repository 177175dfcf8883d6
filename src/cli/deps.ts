/** What the command line needs from the outside. `src/main/brevet.ts` hands in the real world; tests hand in theirs. */
import type { Readable, Writable } from 'node:stream';
import type { ExitCode } from './exit-codes.ts';

export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
}

export interface CliDeps {
  readonly version: string;
  readonly terminal: Terminal;
  /** The environment, read once: BREVET_HOME, BREVET_SERVER, XDG_*, NO_COLOR, and what `psql` inherits. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly host: string;
  /** An IANA name such as Europe/Berlin. */
  readonly timeZone: string;
  now(): Date;
  randomBytes(count: number): Uint8Array;
  /** Milliseconds that only grow. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** While somebody listens, the signal does not end the process. Returns how to stop listening. */
  onSignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void): () => void;
  readonly verifier: LogVerifier;
  /** Everything after `brevet server`. Resolves when the server has stopped. */
  startServer(args: readonly string[]): Promise<ExitCode>;
  readonly rootKeys: RootKeyCommands;
}

/** Acts on root keys, on the host of the server; `config` is its settings file. Answers hold ids, never keys. */
export interface RootKeyCommands {
  list(config: string | null): Promise<RootKeyList>;
  rotate(config: string | null, tell: (line: string) => void): Promise<RotatedRootKey>;
  /** `deleted` is null where keys are given by BREVET_ROOT_KEY. */
  retire(config: string | null): Promise<{ readonly retired: readonly string[]; readonly deleted: readonly string[] | null }>;
}

export interface RootKeyList {
  readonly provider: string;
  readonly keys: readonly {
    readonly id: string;
    readonly state: 'in_force' | 'old' | 'new' | 'retired';
    /** Whether it is at hand here. */
    readonly here: boolean;
    /** How many values of each kind stand under it. */
    readonly sealed: Readonly<Record<string, number>>;
  }[];
  readonly kinds: readonly string[];
  readonly servers: readonly { readonly host: string; readonly keys: readonly string[]; readonly sealsUnder: string }[];
}

export interface RotatedRootKey {
  readonly key: string;
  readonly made: boolean;
  readonly rewrapped: number;
  readonly broken: readonly string[];
  readonly left: number;
}

export interface Verification {
  readonly ok: boolean;
  /** What was checked and found, a line each. */
  readonly findings: readonly { readonly ok: boolean; readonly text: string }[];
  /** The same for machines. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export type LogSource = { readonly folder: string } | { read(path: string): Promise<Uint8Array | null> };

/** Checks the log without trust in the server. */
export interface LogVerifier {
  /**
   * A folder with the log's files, or a way to read them by their paths (null: there is no such file).
   * `key` is the log's verifier key (`name+hash+base64`); `checkpoint` the text of one kept from before.
   */
  verifyLog(source: LogSource, options: { readonly key?: string; readonly checkpoint?: string }): Promise<Verification>;
  /** The bundle of one grant, as `brevet log evidence` writes it. */
  verifyGrant(bundle: string, options: { readonly key?: string }): Promise<Verification>;
}
