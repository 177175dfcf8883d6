import type { EndMode } from '#domain/entitlement.ts';
import type { BrokerId, GrantId, SessionId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import type { RefusalCode } from '#domain/refusal.ts';

/** SCRAM-SHA-256 (RFC 5802, RFC 7677) as the server keeps it: nobody can sign in with it. Byte strings in base64. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: string;
  readonly storedKey: string;
  readonly serverKey: string;
}

/** How the client proved who it is. The broker has checked the proof; the gate says what it is worth. */
export type ClientProof =
  /** It knows the one-time token with this handle; the gate consumes it, once. */
  | { readonly by: 'token'; readonly handle: string }
  /**
   * It holds the key of a certificate that Brevet's authority signed; SHA-256 in hex of the certificate as it is on the wire (DER, or an
   * OpenSSH blob), and its subject's id: the one CN, or the one principal.
   */
  | { readonly by: 'certificate'; readonly fingerprint: string; readonly subject: string };

export interface OpenSession {
  readonly protocol: Upstream['protocol'];
  readonly broker: BrokerId;
  readonly proof: ClientProof;
  /** The target's name as the client wrote it; `null` when a grant or token already says which. */
  readonly target: string | null;
  /** The database, account ... inside the target that the client asked for; `null` for the target's default. */
  readonly within: string | null;
  /** The one grant to use, when the client named it. */
  readonly grant: GrantId | null;
  /** An entitlement to request on the spot when there is no grant, with the reason. */
  readonly request: { readonly entitlement: string; readonly reason: string; readonly duration: string | null } | null;
  /** How long to wait in place for a pending request to be decided; 0 for not at all, at most 3,600. */
  readonly waitSeconds: number;
  readonly client: { readonly address: string; readonly application: string | null };
}

/** Where and as whom a broker signs in on the target, by protocol. It holds the credential: it never leaves the broker's memory. */
export type Upstream = PostgresUpstream | SshUpstream;

export interface PostgresUpstream {
  readonly protocol: 'postgresql';
  readonly host: string;
  readonly port: number;
  readonly tls: 'disable' | 'prefer' | 'require' | 'verify-full';
  readonly ca: string | null;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Settings that the broker pins in the startup packet, such as `default_transaction_read_only`. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface SshUpstream {
  readonly protocol: 'ssh';
  readonly host: string;
  readonly port: number;
  /** Host keys that count, each as its line in a `known_hosts` file reads: `ssh-ed25519 AAAA...`. Never empty. */
  readonly hostKeys: readonly string[];
  readonly user: string;
  /** `privateKey` in OpenSSH's or PEM format. */
  readonly auth: { readonly by: 'password'; readonly password: string } | { readonly by: 'key'; readonly privateKey: string };
  readonly permits: SshPermits;
}

/** What a client may do on a connection; everything else is refused. */
export interface SshPermits {
  readonly shell: boolean;
  /** Single commands; scp in its old form, rsync and git are such. */
  readonly exec: boolean;
  readonly sftp: boolean;
  /** Whereto the client may have connections made from the target (`-L`, `-D`, `-W`), as `host:port`, with `*` for either. */
  readonly localForward: readonly string[];
  /** Ports on the target that the client may have connections taken from (`-R`), or `*`. */
  readonly remoteForward: readonly string[];
}

/** Leave to open one session. */
export interface SessionTicket<To extends Upstream = Upstream> {
  readonly session: SessionId;
  readonly grant: GrantId;
  readonly principalName: string;
  readonly entitlementName: string;
  /** Milliseconds until the cut, counted from the gate's answer: the broker adds it to its own monotonic clock. */
  readonly remainingMs: number;
  /** The broker must renew at least this often. */
  readonly leaseMs: number;
  /** This long after a renewal that should have come and did not, the broker cuts by itself. */
  readonly graceMs: number;
  readonly endMode: EndMode;
  readonly warnMs: number;
  readonly maskLiterals: boolean;
  readonly upstream: To;
}

export interface GateRefusal {
  readonly refused: RefusalCode;
  readonly message: string;
  readonly hint: string | null;
}

/** What the gate wants done to a running session. */
export type SessionOrder =
  | { readonly session: SessionId; readonly order: 'cut'; readonly reason: SessionEndReason; readonly message: string }
  | { readonly session: SessionId; readonly order: 'deadline'; readonly remainingMs: number }
  | { readonly session: SessionId; readonly order: 'go_on' };

/** One recorded stretch of a session. `seq` is dense from 0; a chunk may be handed in twice and is kept once. */
export interface RecordingChunk {
  readonly session: SessionId;
  readonly seq: number;
  readonly bytes: Uint8Array;
  /** Statements, or commands, in it: for counters, not for truth. */
  readonly events: number;
}

export interface SessionEnd {
  readonly session: SessionId;
  readonly reason: SessionEndReason;
  readonly counters: { readonly statements: number; readonly bytesIn: number; readonly bytesOut: number };
}

/**
 * What a broker asks before and during a session. It fails closed: no answer within the caller's patience is a no.
 * `open` may be asked by many brokers at once for one token; exactly one gets a ticket.
 */
export interface Gate {
  /** A verifier to challenge with. For an unknown handle: a stable made-up one, so that nothing is learnt. */
  tokenVerifier(handle: string): Promise<ScramVerifier>;
  /** Aborting `signal` (the client went away) ends a wait and leaves nothing behind. */
  open(ask: OpenSession, signal: AbortSignal): Promise<SessionTicket | GateRefusal>;
  /**
   * The upstream connection stands; `facts` (a backend's pid, say) help to find and end it later. The order counts from the
   * question: a ticket's time counts from an answer that may have come late.
   */
  started(session: SessionId, facts: JsonObject): Promise<SessionOrder>;
  /** Renews the leases of all sessions of a broker at once; an order for each, also for one the gate does not know. */
  renew(broker: BrokerId, sessions: readonly SessionId[]): Promise<readonly SessionOrder[]>;
  /** Rejects when the recorder can't keep it: the broker ends the session. */
  record(chunk: RecordingChunk): Promise<void>;
  ended(end: SessionEnd): Promise<void>;
  /** Orders that can't wait for the next renewal. Answers how to stop listening. */
  onOrder(listener: (order: SessionOrder) => void): () => void;
}
