import { BlockList, isIP, SocketAddress } from 'node:net';
import { Refusal } from '#domain/refusal.ts';

export interface ClientAddress {
  /** Whether this peer is a configured proxy: only then are X-Forwarded-Proto and -Host worth reading, too. */
  isProxy(peer: string): boolean;
  /**
   * The client's address: the last hop that is not a proxy of ours (attack F03). Read from the right, because a proxy
   * appends what it saw; everything further left is what the client claims. With a malformed entry the hop before it
   * counts.
   * @param peer the TCP peer's address
   * @param forwardedFor X-Forwarded-For, all headers of that name in order
   */
  of(peer: string, forwardedFor: string | readonly string[] | undefined): string;
}

const MOST_HOPS = 32;

/**
 * @param proxies addresses and CIDR ranges of the proxies in front of Brevet; none by default
 * @throws Refusal `invalid_configuration`
 */
export function clientAddress(proxies: readonly string[]): ClientAddress {
  const list = new BlockList();
  for (const range of proxies) addRange(list, range);
  const isProxy = (address: string) => {
    const plain = plainAddress(address);
    return plain !== null && list.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
  };
  return {
    isProxy,
    of: (peer, forwardedFor) => {
      let client = plainAddress(peer) ?? peer;
      if (!isProxy(peer) || forwardedFor === undefined) return client;
      const hops = (typeof forwardedFor === 'string' ? [forwardedFor] : forwardedFor).join(',').split(',').slice(-MOST_HOPS);
      for (const hop of hops.toReversed()) {
        const address = plainAddress(hop.trim());
        if (address === null) return client;
        client = address;
        if (!isProxy(address)) return client;
      }
      return client;
    },
  };
}

function addRange(list: BlockList, range: string): void {
  const [address = '', bits, ...rest] = range.split('/');
  const plain = plainAddress(address);
  const family = plain === null ? 0 : isIP(plain);
  const whole = family === 4 ? 32 : 128;
  const length = bits === undefined ? whole : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  const wrong = (message: string) => {
    throw new Refusal('invalid_configuration', message, { field: 'proxies', hint: 'Write it like 10.0.0.5, 10.0.0.0/24 or 2001:db8::/48.' });
  };
  if (plain === null || rest.length > 0 || !(length <= whole) || (isIP(address) === 6 && family === 4 && bits !== undefined)) {
    return wrong(`"${range.slice(0, 60)}" is not an address or a range of addresses`);
  }
  if (length === 0) return wrong(`with ${range} as a proxy anybody could claim any address`);
  list.addSubnet(plain, length, family === 4 ? 'ipv4' : 'ipv6');
}

/** One spelling for each address; IPv4 inside IPv6, as dual-stack sockets report it, becomes IPv4. No zones, no ports. */
function plainAddress(text: string): string | null {
  const family = isIP(text);
  if (family === 4) return text;
  if (family !== 6 || text.includes('%')) return null;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
}
