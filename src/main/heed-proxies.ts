import { clientAddress, type ClientAddress } from '#signin/client-address.ts';
import type { Settings } from './settings.ts';

/** Where callers come from, by the settings, and whether these seem to lack a proxy. */
export interface HeededProxies {
  readonly clientAddress: ClientAddress;
  /** Who last handed a call on by X-Forwarded-For while no proxy is configured; `null` for nobody. */
  unnamed(): string | null;
}

/** @throws Refusal `invalid_configuration` */
export function heedProxies({ proxies }: Settings): HeededProxies {
  const named = proxies.split(',').map((one) => one.trim()).filter(Boolean);
  const heeded = clientAddress(named);
  let unnamed: string | null = null;
  return {
    clientAddress: {
      isProxy: (peer) => heeded.isProxy(peer),
      of(peer, forwardedFor) {
        if (named.length === 0 && forwardedFor !== undefined) unnamed = heeded.of(peer, undefined);
        return heeded.of(peer, forwardedFor);
      },
    },
    unnamed: () => unnamed,
  };
}
