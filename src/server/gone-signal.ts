import type { ServerResponse } from 'node:http';

/**
 * Aborts when the client has hung up or has its answer, also when that was before anybody asked: whoever awaits first
 * and listens then never hears of it.
 */
export function goneSignal(response: ServerResponse): AbortSignal {
  if (response.destroyed) return AbortSignal.abort();
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}
