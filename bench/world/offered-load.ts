import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BrevetWorld } from '#test/worlds/brevet-world.ts';
import type { LoadOrder, LoadReport } from './api-load.ts';

export interface OfferedLoad extends Disposable {
  /** Since the last report. */
  report(): Promise<LoadReport>;
}

/** What the console and the command line ask for most, called by Ada from a process of its own at fixed instants. */
export async function offerLoad(world: BrevetWorld, perSecond: number): Promise<OfferedLoad> {
  const { keyId, privateKey } = await world.as('ada');
  const load = fork(join(import.meta.dirname, 'api-load.ts'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: ['--disable-warning=ExperimentalWarning'] });
  load.send({
    address: world.address, name: 'ada', keyId, perSecond, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    paths: ['/api/v1/me', '/api/v1/grants', '/api/v1/entitlements'],
  } satisfies LoadOrder);
  return {
    async report() {
      load.send('report');
      const [report] = (await once(load, 'message')) as [LoadReport];
      return report;
    },
    [Symbol.dispose]: () => void load.kill(),
  };
}
