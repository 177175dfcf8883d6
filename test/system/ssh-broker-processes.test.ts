/** The SSH broker as the second door of broker processes: the gate over a channel, a process that dies, one that is started again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test as bare } from 'node:test';
import { startBrokers, type Brokers } from '#brokers/start-brokers.ts';
import { makeId } from '#domain/id.ts';
import { until } from '#test/worlds/broker-world.ts';
import { makeAuthority, type TestAuthority } from '#test/worlds/certificates.ts';
import { makeMaterial, shown, startSshBrokerWorld, type SshBrokerWorld } from '#test/worlds/ssh-broker-world.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);

let world: SshBrokerWorld;
let authority: TestAuthority;
let brokers: Brokers;
let flags: readonly string[];

before(async () => {
  [world, authority] = await Promise.all([startSshBrokerWorld(), makeAuthority()]);
  const { cert, key } = await authority.issue('server', 'localhost');
  const material = await makeMaterial(world.folder, world.authority);
  brokers = await startBrokers({
    entry: join(import.meta.dirname, '../../src/main/broker.ts'), count: 2, host: '127.0.0.1', port: 0, tls: { cert, key, ca: [authority.ca] },
    ssh: { port: 0, material }, gate: world.gate, brokerIds: [0, 1].map(() => makeId('broker', Date.now(), randomBytes(10))),
    log: (level, message, facts) => void world.log.push(`${level} ${message} ${JSON.stringify(facts)}`), monotonic: () => performance.now(),
  });
  await world.folder.write('known_hosts', `[127.0.0.1]:${brokers.sshPort} ${material.line}\n`);
  flags = ['-p', String(brokers.sshPort)];
});
after(async () => {
  await brokers.stop();
  await authority[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

test('sessions through several processes on one port, each recorded by the server\'s gate', async () => {
  const ran = await Promise.all(Array.from({ length: 6 }, (_, n) => world.ssh([...flags, 'target', `echo ${n}`])));
  assert.deepEqual(ran.map(({ stdout }) => stdout.toString()), Array.from({ length: 6 }, (_, n) => `${n}\n`));
  assert.match(shown(await world.recorded()), /^\d\n$/);
  await until(() => world.gate.ends.length === 6, 'the reports');
});

test('a process that is killed takes its sessions with it, and they are reported as lost; it is started again', async () => {
  const started = world.gate.startedWith.length;
  const child = world.spawnSsh([...flags, 'target', 'sleep 60']);
  await until(() => world.gate.startedWith.length > started, 'the session');
  const exit = once(child, 'exit');
  for (const pid of brokers.pids) process.kill(pid, 'SIGKILL');
  await exit;
  await until(() => world.gate.ends.at(-1)?.reason === 'broker_lost', 'the report');
  await until(() => brokers.pids.length === 2, 'the processes to be back');
  await until(async () => (await world.ssh([...flags, 'target', 'echo again'])).stdout.toString() === 'again\n', 'a session');
});

test('new keys are shown, and new authorities believed, without a restart', async () => {
  const material = await makeMaterial(world.folder, world.authority);
  brokers.renewSsh({ ...material, authorities: [] });
  await world.folder.write('known_hosts', `[127.0.0.1]:${brokers.sshPort} ${material.line}\n`);
  await until(async () => /Permission denied/.test((await world.ssh([...flags, 'target', 'true'])).stderr), 'the new key, and no authority');
  brokers.renewSsh(material);
  await until(async () => (await world.ssh([...flags, 'target', 'echo in'])).stdout.toString() === 'in\n', 'the authority');
});
