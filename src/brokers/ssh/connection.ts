import { Refusal } from '#domain/refusal.ts';
import { askGate } from '../carried/ask-gate.ts';
import type { BrokerContext } from '../carried/context.ts';
import type { Arrival, Patience } from '../carried/door.ts';
import { hangUp } from '../carried/hang-up.ts';
import { proveClient, type Proven } from './client-auth.ts';
import { ClientGone, type Doorway, type Visitor } from './doorway.ts';
import { SshSession } from './session.ts';
import { refusalWords } from './speech.ts';
import { readWishes } from './wishes.ts';

export interface Connection extends Arrival {
  readonly doorway: Doorway;
  readonly patience: Patience;
}

/** Takes an accepted socket from its first byte to the start of its session. Never throws. */
export async function serveConnection(context: BrokerContext, connection: Connection): Promise<void> {
  const { raw, address, doorway, patience } = connection;
  const proof = setTimeout(() => hangUp(raw), patience.proofMs);
  const step = setTimeout(() => raw.destroy(), patience.stepMs);
  try {
    const visitor = await doorway.greet(raw);
    clearTimeout(step);
    connection.spoke();
    const refused = (fault: string, why: string) => context.log('info', 'a certificate was not accepted', { fault, why, address });
    const proven = await proveClient(visitor, { authorities: doorway.authorities, address, now: context.now, refused });
    clearTimeout(proof);
    connection.proved();
    await admit(context, connection, visitor, proven);
  } catch (error) {
    if (!(error instanceof ClientGone)) context.log('error', 'a connection failed', { error: String(error) });
    raw.destroy();
  } finally {
    clearTimeout(proof);
    clearTimeout(step);
    connection.proved();
  }
}

/** From the proof to a session, or to words why there is none. */
async function admit(context: BrokerContext, connection: Connection, visitor: Visitor, proven: Proven): Promise<void> {
  try {
    const wishes = readWishes(proven.user);
    const { target, within, grant, request, waitSeconds } = wishes;
    const waits = waitSeconds > 0 || request !== null;
    const leave = waits ? connection.wait() : () => undefined;
    if (leave === null) throw new Refusal('quota_exceeded', 'too many connections wait for an approval here', { hint: 'Connect when it is approved.' });
    const client = { address: connection.address, application: visitor.software };
    const ask = { protocol: 'ssh', broker: context.broker, proof: proven.proof, target, within, grant, request, waitSeconds, client } as const;
    const answer = await askGate(context, visitor, ask).finally(leave);
    if (answer === null) return void visitor.raw.destroy();
    if ('refused' in answer) return proven.refuse(refusalWords(answer));
    await new SshSession(context, visitor, proven, answer).start();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    proven.refuse(refusalWords({ refused: error.code, message: error.message, hint: error.details.hint ?? null }));
  }
}
