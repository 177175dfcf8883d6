/** A broker process. Its settings, keys included, come from the server over the channel it was started with. */
import { randomBytes } from 'node:crypto';
import { runBrokerProcess } from '#brokers/broker-process.ts';
import { ipcChannel } from '#brokers/channel.ts';

// A terminal's Ctrl-C reaches the whole group: the server decides, and when it is gone the channel says so.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

runBrokerProcess(ipcChannel(process), {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: (size) => randomBytes(size),
  exit: (code) => process.exit(code),
});
