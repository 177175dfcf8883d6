/**
 * The gate across a process boundary: `serveGate` stands beside the real one, `gateOver` is what a broker process
 * holds. A broker process handles what strangers send, so its word counts only for its own broker id and for sessions
 * that were opened through it.
 */
import type { Gate, OpenSession, RecordingChunk, ScramVerifier, SessionEnd, SessionOrder, SessionTicket, GateRefusal } from '#app/ports/gate.ts';
import type { BrokerId, SessionId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { Channel } from './channel.ts';

type Method = 'tokenVerifier' | 'open' | 'started' | 'renew' | 'record' | 'ended';

type ToGate =
  | { readonly gate: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] }
  | { readonly gate: 'abort'; readonly id: number };
type FromGate =
  | { readonly gate: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly gate: 'failure'; readonly id: number }
  | { readonly gate: 'order'; readonly order: SessionOrder };

/** Serves `gate` to the broker process behind `channel`. When that dies, its open sessions are reported as lost. */
export function serveGate(channel: Channel, gate: Gate, broker: BrokerId): void {
  const waits = new Map<number, AbortController>();
  const sessions = new Set<SessionId>();
  let closed = false;
  const open = async (id: number, ask: OpenSession): Promise<SessionTicket | GateRefusal> => {
    const wait = new AbortController();
    waits.set(id, wait);
    try {
      const answer = await gate.open({ ...ask, broker }, wait.signal);
      if (!('refused' in answer)) {
        sessions.add(answer.session);
        if (closed) lose(answer.session);
      }
      return answer;
    } finally {
      waits.delete(id);
    }
  };
  const lose = (session: SessionId) => {
    sessions.delete(session);
    const counters = { statements: 0, bytesIn: 0, bytesOut: 0 };
    gate.ended({ session, reason: 'broker_lost', counters }).catch(() => undefined);
  };

  channel.onMessage((raw) => {
    const message = raw as ToGate;
    if (message.gate === 'abort') waits.get(message.id)?.abort();
    if (message.gate !== 'call') return;
    const { id } = message;
    const [first] = message.args;
    const answer = message.method === 'open' ? open(id, first as OpenSession) : perform({ gate, broker, sessions }, message.method, message.args);
    answer.then(
      (value) => channel.send({ gate: 'answer', id, value } satisfies FromGate),
      () => channel.send({ gate: 'failure', id } satisfies FromGate),
    );
  });
  const deaf = gate.onOrder((order) => {
    if (sessions.has(order.session)) channel.send({ gate: 'order', order } satisfies FromGate);
  });
  channel.onClose(() => {
    closed = true;
    deaf();
    for (const wait of waits.values()) wait.abort();
    for (const session of sessions) lose(session);
  });
}

/** Puts a broker process's question to the gate: in that broker's name, and only of its own sessions. */
async function perform(of: { gate: Gate; broker: BrokerId; sessions: Set<SessionId> }, method: Exclude<Method, 'open'>, [first, second]: readonly unknown[]): Promise<unknown> {
  const { gate, broker, sessions } = of;
  const own = (session: SessionId) => {
    if (!sessions.has(session)) throw new Error('not a session of this broker');
    return session;
  };
  switch (method) {
    case 'tokenVerifier':
      return gate.tokenVerifier(String(first));
    case 'started':
      return gate.started(own(first as SessionId), second as JsonObject);
    case 'renew':
      return gate.renew(broker, (first as SessionId[]).filter((session) => sessions.has(session)));
    case 'record': {
      const chunk = first as RecordingChunk;
      own(chunk.session);
      return gate.record(chunk);
    }
    case 'ended': {
      const end = first as SessionEnd;
      await gate.ended({ ...end, session: own(end.session) });
      return void sessions.delete(end.session);
    }
    default:
      throw new Error('no such question');
  }
}

/** The gate on the other side of `channel`. Every question fails when the channel closes: brokers then fail closed. */
export function gateOver(channel: Channel): Gate {
  const calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const listeners = new Set<(order: SessionOrder) => void>();
  let next = 0;
  let closed = false;
  const call = <T>(method: Method, args: readonly unknown[], signal?: AbortSignal): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (closed) return reject(new Error('the gate is out of reach'));
      const id = next++;
      calls.set(id, { resolve: resolve as (value: unknown) => void, reject });
      channel.send({ gate: 'call', id, method, args } satisfies ToGate);
      signal?.addEventListener('abort', () => channel.send({ gate: 'abort', id } satisfies ToGate), { once: true });
    });

  channel.onMessage((raw) => {
    const message = raw as FromGate;
    if (message.gate === 'order') for (const listener of listeners) listener(message.order);
    if (message.gate !== 'answer' && message.gate !== 'failure') return;
    const waiting = calls.get(message.id);
    calls.delete(message.id);
    if (message.gate === 'answer') waiting?.resolve(message.value);
    else waiting?.reject(new Error('the gate failed'));
  });
  channel.onClose(() => {
    closed = true;
    for (const waiting of calls.values()) waiting.reject(new Error('the gate is out of reach'));
    calls.clear();
  });

  return {
    tokenVerifier: (handle) => call<ScramVerifier>('tokenVerifier', [handle]),
    open: (ask, signal) => call<SessionTicket | GateRefusal>('open', [ask], signal),
    started: (session, facts) => call<SessionOrder>('started', [session, facts]),
    renew: (_, sessions) => call<readonly SessionOrder[]>('renew', [sessions]),
    record: (chunk) => call('record', [chunk]),
    ended: (end) => call('ended', [end]),
    onOrder(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
