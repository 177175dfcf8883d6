/** Three servers on one store: asked at the first, decided at the second, used through the third, taken away by whichever comes first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { approve, ask, envFor, eventually, hold, must, psql, storyOf } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, callerWith } from '#test/worlds/brevet-world.ts';

test('one request over three servers: what one knows, all know at once', { timeout: 90_000 }, async (t) => {
  await using world = await brevetWorld();
  const servers = [world.server, await world.another(), await world.another()] as const;
  const at = async (who: string, n: 0 | 1 | 2) => {
    const { name, keyId, privateKey } = await world.as(who);
    return callerWith(servers[n].address, name, keyId, privateKey);
  };
  const [adaAtFirst, kimAtSecond, noorAtThird, samAtSecond] = await Promise.all([at('ada', 0), at('kim', 1), at('noor', 2), at('sam', 1)]);

  const request = await ask(adaAtFirst, 'orders-write', { duration: 12 });
  const waiting = must(adaAtFirst.get<Answer<'request'>>(`/api/v1/requests/${request.id}?waitSeconds=20`));
  const inbox = await must(kimAtSecond.get<Answer<'requests'>>('/api/v1/requests?view=inbox'));
  assert.deepEqual(inbox.items.map(({ id }) => id), [request.id]);
  const decided = performance.now();
  await approve(kimAtSecond, request);
  const heard = await waiting;
  const ms = Math.round(performance.now() - decided);
  t.diagnostic(`whoever waits at another server hears of the decision after ${ms} ms`);
  assert.equal(heard.state, 'approved');
  assert.ok(ms < 4000, `${ms} ms`);
  assert.ok((await noorAtThird.post(`/api/v1/requests/${request.id}/reviews`, { decision: 'deny', hash: request.hash, reason: 'too late' })).problem, 'decided is decided, at any server');

  const grant = await world.until('ada', heard.grant ?? '', 'active');
  const env = { ...(await envFor(world, 'ada', grant.id)), PGPORT: String(servers[2].brokerPort) };
  assert.equal(await psql(env, 'select count(*) from shop.orders'), '5000');
  const held = await hold(env);
  const live = await must(samAtSecond.get<Answer<'sessions'>>(`/api/v1/sessions?view=all&grant=${grant.id}&live=true`));
  assert.equal(live.items.length, 1);
  const ending = performance.now();
  await must(samAtSecond.post(`/api/v1/sessions/${live.items[0]?.id}/end`));
  const { message, at: cutAt } = await held.lost;
  assert.match(message, /an administrator ended this session/);
  t.diagnostic(`a session on the third server ends ${Math.round(cutAt - ending)} ms after the second was told`);
  assert.ok(cutAt - ending < 3000);

  const last = await hold(env);
  // The server that carries no session and made no part goes away; nobody misses it.
  await servers[1].stop();
  const lost = await last.lost;
  assert.match(lost.message, /the granted time is over/);
  assert.ok(Math.abs(Date.now() - Date.parse(grant.deadline ?? '')) < 2000);
  await world.until('ada', grant.id, 'ended');
  assert.deepEqual(await world.roles(), []);
  const story = await eventually('the whole story in the log', 3000, async () => {
    const types = await storyOf(world, grant.id);
    return types.includes('grant.ended') && types;
  });
  for (const type of new Set(story.filter((each) => each.startsWith('grant.')))) assert.equal(story.filter((each) => each === type).length, 1, type);
});
