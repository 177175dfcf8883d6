/** A "server" with one broker process, to be killed by a test. Settings come by the first message. */
import { randomBytes } from 'node:crypto';
import { startBrokers, type BrokersSettings } from '#brokers/start-brokers.ts';
import { makeId } from '#domain/id.ts';
import { MemoryGate, type TicketTerms } from './memory-gate.ts';

process.once('message', async (message) => {
  const { target, tls, entry } = message as { target: TicketTerms; tls: BrokersSettings['tls']; entry: string };
  const gate = new MemoryGate({ ...target, leaseMs: 1000, graceMs: 2000 });
  gate.oneTime = false;
  const token = gate.issueToken();
  const brokerIds = [makeId('broker', Date.now(), randomBytes(10))];
  const brokers = await startBrokers({ entry, count: 1, host: '127.0.0.1', port: 0, tls, gate, brokerIds, log: () => undefined, monotonic: () => performance.now() });
  process.send?.({ port: brokers.port, pids: brokers.pids, token });
});
