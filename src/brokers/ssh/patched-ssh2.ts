/** What our patch adds to ssh2 (patches/), which the published types do not know. */
import ssh2, { type Connection, type ServerConfig } from 'ssh2';

export type PatchedConnection = Connection & {
  /** Disconnects, with words that most clients show. */
  end(words?: string): void;
  /** Shows a text to who is signing in (RFC 4252, section 5.4). */
  banner(text: string): void;
  /** A channel or request that ssh2 has refused by itself, and its type in the client's words. */
  on(event: 'refused', listener: (what: 'channel' | 'channel request' | 'global request', type: string) => void): void;
};

/** Sockets come by `injectSocket`; it does not listen. */
export function ssh2Server(config: Omit<ServerConfig, 'hostKeys'> & { readonly hostKeys: readonly { readonly key: string; readonly certificate: Buffer | null }[] }): ssh2.Server {
  return new ssh2.Server(config as unknown as ServerConfig);
}
