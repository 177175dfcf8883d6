import { isIPv6, SocketAddress } from 'node:net';

/** Who is behind an address, for counting: anybody with IPv6 has a network of 64 bits, and so 2^64 addresses, to come from. */
export function originOf(address: string): string {
  const plain = address.replace(/%.*$/, '');
  if (!isIPv6(plain)) return plain;
  const { address: text } = new SocketAddress({ address: plain, family: 'ipv6' });
  const inside = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
  if (inside !== undefined) return inside;
  const [head = [], tail = []] = text.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`;
}
