import type { SshPermits } from '#app/ports/gate.ts';

/** Whether a permit of local forwarding covers a destination, as the client writes it: names are not looked up here. */
export function mayReach(permits: SshPermits['localForward'], host: string, port: number): boolean {
  return permits.some((permit) => {
    const colon = permit.lastIndexOf(':');
    const [wantedHost, wantedPort] = [permit.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), permit.slice(colon + 1)];
    return colon > 0 && (wantedHost === '*' || wantedHost.toLowerCase() === host.toLowerCase()) && (wantedPort === '*' || wantedPort === String(port));
  });
}

/** On the target's own addresses only: where else a port would be open there nobody has permitted. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];

/** Whether connections may be taken from this address and port of the target; port 0 is whichever is free. */
export function mayListen(permits: SshPermits['remoteForward'], address: string, port: number): boolean {
  return LOOPBACK.includes(address) && permits.some((permit) => permit === '*' || permit === String(port));
}
