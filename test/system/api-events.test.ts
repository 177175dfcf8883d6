import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { signRequest } from '#contract/request-signature.ts';
import { ask, done, hangUp, refused, review, whenTrue } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';

let world: BrevetWorld;
let [ada, noor, lea, sam]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;
const PATH = '/api/v1/events';

before(async () => {
  world = await brevetWorld({ brokers: 0 });
  [ada, noor, lea, sam] = await Promise.all(['ada', 'noor', 'lea', 'sam'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());

interface Event {
  readonly id: number;
  readonly type: string;
  readonly entry: Answer<'logEntries'>['items'][number];
}

/** One live stream: what has come so far, and whether the server has ended it. */
class Stream implements AsyncDisposable {
  readonly events: Event[] = [];
  over = false;
  readonly #abort = new AbortController();
  #reading: Promise<void> = Promise.resolve();

  static async open(caller: Caller, lastEventId?: number): Promise<Stream> {
    const stream = new Stream();
    const headers = signRequest({ method: 'GET', authority: new URL(world.address).host, target: PATH, headers: {} }, null, caller, { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) });
    const response = await fetch(world.address + PATH, { headers: { ...headers, ...(lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }) }, signal: stream.#abort.signal });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    assert.ok(response.body);
    stream.#reading = stream.#read(response.body).catch(() => undefined);
    return stream;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    let text = '';
    for await (const piece of body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>)) {
      text += piece;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, id, type, data] = /^id: (\d+)\nevent: (\S+)\ndata: (.*)$/.exec(block) ?? [];
        if (data !== undefined) this.events.push({ id: Number(id), type: type ?? '', entry: JSON.parse(data) as Event['entry'] });
        else assert.match(block, /^: /, 'neither an event nor a comment');
      }
    }
    this.over = true;
  }

  async until(holds: () => boolean, withinMs = 8000): Promise<void> {
    for (const end = performance.now() + withinMs; !holds(); ) {
      assert.ok(performance.now() < end, `it did not come: ${JSON.stringify(this.events.map((event) => event.type))}, over: ${this.over}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  about(id: string): string[] {
    return this.events.filter((event) => event.entry.data['request'] === id).map((event) => event.type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }
}

test('events arrive as they happen: to the requester, the reviewer and the administrator, and not to a stranger', async () => {
  await using hers = await Stream.open(they(ada));
  await using reviewers = await Stream.open(they(noor));
  await using all = await Stream.open(they(sam));
  await using strangers = await Stream.open(they(lea));
  const asked = await ask(they(ada), { inHours: 1 });
  done(await review(they(noor), asked));
  const life = ['request.submitted', 'review.given', 'request.approved', 'grant.scheduled'];
  for (const stream of [hers, reviewers, all]) {
    await stream.until(() => stream.about(asked.id).length >= 4);
    assert.deepEqual(stream.about(asked.id), life);
    const ids = stream.events.map((event) => event.id);
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
    for (const event of stream.events) assert.deepEqual([event.entry.index, event.entry.type], [event.id, event.type]);
  }
  // Something of the stranger's own comes through the same stream: it was open all the while.
  done(await they(lea).post('/api/v1/requests', { entitlement: 'billing-support', reason: 'a customer calls', ticket: 'C-1' }));
  await strangers.until(() => strangers.events.length > 0);
  assert.deepEqual(strangers.about(asked.id), []);
  const { id } = done(await they(lea).get<{ id: string }>('/api/v1/me'));
  assert.deepEqual([...new Set(strangers.events.map((event) => event.entry.data['principal']))], [id]);
});

test('whoever comes back with Last-Event-ID misses nothing and gets nothing twice', async () => {
  const numbered = () => whenTrue(world, 'not exists (select from brevet.log_entries where index is null)');
  const first = await ask(they(ada), { inHours: 1 });
  await numbered();
  let last: number;
  {
    await using stream = await Stream.open(they(ada), 0);
    await stream.until(() => stream.about(first.id).length === 1);
    last = stream.events.at(-1)?.id ?? 0;
  }
  const missed = await ask(they(ada), { inHours: 1 });
  done(await they(ada).post(`/api/v1/requests/${first.id}/cancel`));
  await numbered();
  await using again = await Stream.open(they(ada), last);
  await again.until(() => again.about(first.id).length === 1 && again.about(missed.id).length === 1);
  assert.deepEqual([again.about(first.id), again.about(missed.id)], [['request.cancelled'], ['request.submitted']]);
  assert.ok(again.events.every((event) => event.id > last));
});

test('A09 a stream needs a signature and a position that is one', async () => {
  refused(await world.anonymous('GET', PATH), 401, 'unauthenticated');
  for (const id of ['x', '-1', '1.5', '9'.repeat(20), ' ']) {
    const reply = await they(ada).call('GET', PATH, undefined, { 'last-event-id': id }).catch(() => null);
    if (id.trim() !== '') refused(reply as NonNullable<typeof reply>, 400, 'invalid_input');
  }
});

test('B13 a stream ends with the key that signed for it, and with the person', async () => {
  await using hers = await Stream.open(they(ada));
  done(await they(sam).call('DELETE', `/api/v1/me/keys/${they(ada).keyId}`));
  await hers.until(() => hers.over);
  await using reviewers = await Stream.open(they(noor));
  done(await they(sam).post('/api/v1/principals/noor/disable'));
  await reviewers.until(() => reviewers.over);
  assert.ok(!reviewers.events.some((event) => event.type === 'principal.disabled'));
});

test('H02 clients that hang up at once leave no stream behind', async () => {
  for (let n = 0; n < 20; n++) await hangUp(world, they(lea), PATH);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await using stream = await Stream.open(they(lea));
  assert.equal(stream.over, false);
});
