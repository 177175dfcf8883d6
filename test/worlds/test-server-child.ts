/** A test process that starts a test server, stops all of it (SIGSTOP), says where it is, and waits to be killed. */
import { startTestServer } from './postgres-server.ts';

const server = await startTestServer();
await server.pause();
console.log(JSON.stringify({ pid: server.pid, folder: server.socket }));
setInterval(() => undefined, 60_000);
