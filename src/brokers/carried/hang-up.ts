import type { Socket } from 'node:net';

/** How long a peer may take to read its last words. */
const LINGER_MS = 400;

/** Ends a connection so that its last words arrive: what the peer still sends is dropped for a moment. */
export function hangUp(socket: Socket): void {
  socket.end();
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS);
}
