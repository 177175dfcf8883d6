import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { applyIn } from '#app/configuration/apply-configuration.ts';
import type { Children } from '#app/ports/runtime.ts';
import { setTargetSecret } from '#app/target-access.ts';
import { openJournal, random } from '../runtime.ts';
import type { Settings } from '../settings.ts';
import { startServer, type RunningServer } from '../start-server.ts';
import { openSampleDatabase, type SampleDatabase } from './sample-database.ts';
import { demoFiles } from './world.ts';

export interface Demo {
  readonly server: RunningServer;
  readonly sample: SampleDatabase;
  stop(): Promise<void>;
}

/**
 * Brevet on its embedded store beside a sample database, with the demonstration's world applied. A second start finds
 * everything as it was; only the sample's password is made anew each time.
 */
export async function openDemo(settings: Settings, step: (text: string) => void, children: Children): Promise<Demo> {
  await using opening = new AsyncDisposableStack();
  step('starting Brevet');
  const server = await startServer(settings, children);
  opening.defer(() => server.stop());
  step('starting the sample database');
  const sample = await openSampleDatabase({
    folder: `${settings.data}/sample`,
    port: await samplePort(`${settings.data}/sample.port`),
    runtimeFolders: [process.env['XDG_RUNTIME_DIR'], tmpdir()].filter((folder) => folder !== undefined && folder !== '') as string[],
    random,
    journal: openJournal('warn'),
    children,
  });
  opening.defer(() => sample.server.stop());
  await server.app.store.transaction(async (tx) => {
    await applyIn(server.app, tx, demoFiles(sample.port), null, 'system');
    const target = await tx.catalogue.targetByName('orders');
    if (target) await setTargetSecret(server.app, tx, target.id, null, sample.password);
  });
  const everything = opening.move();
  // Sessions end first, by their broker and in its words, and then what they are sessions of.
  const stop = async () => {
    try {
      await server.stop();
    } finally {
      await everything.disposeAsync();
    }
  };
  return { server, sample, stop };
}

/** The port of the first start, if it is still free: the target's address is part of the world. */
async function samplePort(file: string): Promise<number> {
  const kept = Number(await readFile(file, 'utf8').catch(() => '0'));
  const port = (await tryPort(kept)) ?? (await tryPort(0));
  if (port === null) throw new Error('no port is free on this machine');
  await writeFile(file, `${port}\n`);
  return port;
}

async function tryPort(port: number): Promise<number | null> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return null;
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return (probe.address() as { port: number }).port;
  } catch {
    return null;
  } finally {
    probe.close();
  }
}
