/** The critical options of user certificates (PROTOCOL.certkeys): what whoever lets the user in must hold to. */
import { BlockList, isIP } from 'node:net';
import { Malformed, WireReader } from './wire.ts';

export interface Restrictions {
  /** The only command that may run, in place of any that is asked for. */
  readonly forceCommand: string | null;
  /** Addresses and networks that the user may come from (`mayComeFrom`). */
  readonly sourceAddresses: readonly string[] | null;
  /** The signature must attest that the token knew who touched it; `provesPossession` holds to it. */
  readonly verifyRequired: boolean;
}

/** An option that is not known forbids something that is not known either. */
export class UnknownOption extends Error {}

/** @throws UnknownOption @throws Malformed for one that is known and has no usable value */
export function readRestrictions(criticalOptions: ReadonlyMap<string, Uint8Array>): Restrictions {
  let [forceCommand, sourceAddresses, verifyRequired]: [string | null, readonly string[] | null, boolean] = [null, null, false];
  for (const [name, data] of criticalOptions) {
    if (name === 'force-command') forceCommand = readValue(data);
    else if (name === 'source-address') sourceAddresses = readNetworks(readValue(data));
    else if (name === 'verify-required' && data.length === 0) verifyRequired = true;
    else throw new UnknownOption(`the critical option ${name.slice(0, 60)} is not known`);
  }
  return { forceCommand, sourceAddresses, verifyRequired };
}

/** Whether an address is among those of a certificate; any is if it names none. */
export function mayComeFrom(networks: readonly string[] | null, address: string): boolean {
  if (networks === null) return true;
  // A socket that takes both families shows IPv4 addresses like this.
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
  const family = familyOf(plain);
  if (family === null) return false;
  return networks.some((network) => {
    const { address: base, family: theirs, prefix } = splitNetwork(network);
    const list = new BlockList();
    list.addSubnet(base, prefix, theirs);
    // Without the comparison a BlockList takes IPv4 for a part of IPv6: ::/0 would hold it.
    return theirs === family && list.check(plain, family);
  });
}

/** The networks of a comma-separated list. @throws Malformed */
export function readNetworks(list: string): readonly string[] {
  const networks = list.split(',');
  for (const network of networks) splitNetwork(network);
  return networks;
}

function splitNetwork(network: string): { readonly address: string; readonly family: 'ipv4' | 'ipv6'; readonly prefix: number } {
  const [, address = '', bits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const family = familyOf(address);
  const longest = family === 'ipv4' ? 32 : 128;
  const prefix = bits === undefined ? longest : Number(bits);
  if (family === null || prefix > longest) throw new Malformed('a source address is neither an address nor a network');
  return { address, family, prefix };
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  const version = isIP(address);
  return version === 0 ? null : version === 4 ? 'ipv4' : 'ipv6';
}

/** An option's value is one string inside the string. */
function readValue(data: Uint8Array): string {
  const reader = new WireReader(data);
  const value = reader.text();
  reader.end();
  if (value === '') throw new Malformed('a critical option is empty');
  return value;
}
