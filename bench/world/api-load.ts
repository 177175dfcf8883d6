/**
 * A process that calls the API at fixed instants, whatever the answers take (open loop), and answers with how long each
 * took from the instant at which it was due. Ends when it is told to.
 */
import { createPrivateKey } from 'node:crypto';
import { callerWith } from '#test/worlds/brevet-world.ts';

export interface LoadOrder {
  readonly address: string;
  readonly name: string;
  readonly keyId: string;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  readonly paths: readonly string[];
  readonly perSecond: number;
}

/** Milliseconds of each call since the last report, and how many were not answered with 200. */
export interface LoadReport {
  readonly took: readonly number[];
  readonly failed: number;
}

let took: number[] = [];
let failed = 0;
let running = 0;

async function call(caller: ReturnType<typeof callerWith>, path: string, due: number): Promise<void> {
  running += 1;
  const status = await caller.get(path).then((reply) => reply.status, () => 0);
  running -= 1;
  took.push(performance.now() - due);
  if (status !== 200) failed += 1;
}

process.on('message', (raw) => {
  if (raw === 'report') {
    process.send?.({ took, failed } satisfies LoadReport);
    [took, failed] = [[], 0];
    return;
  }
  const order = raw as LoadOrder;
  const caller = callerWith(order.address, order.name, order.keyId, createPrivateKey(order.privateKey));
  const began = performance.now();
  let n = 0;
  setInterval(() => {
    for (let due = began + (n * 1000) / order.perSecond; due <= performance.now(); due = began + (n * 1000) / order.perSecond) {
      void call(caller, order.paths[n % order.paths.length] as string, due);
      n += 1;
    }
  }, 5);
});
process.on('disconnect', () => process.exit());
