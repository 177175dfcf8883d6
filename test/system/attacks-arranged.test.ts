import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { brevetWorld, callerWith, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';

/** Ada administers Brevet here, and develops. */
const files = (port: number) => demoFiles(port).map((file) => ({ ...file, text: file.text.replace('ada: { name: Ada Okafor }', 'ada: { name: Ada Okafor, administrator: true }') }));

describe('the requester arranges the sign-in of the reviewer', () => {
  let world: BrevetWorld;
  let ada: Caller;
  before(async () => {
    world = await brevetWorld({ files });
    ada = await world.as('ada');
  });
  after(() => world[Symbol.asyncDispose]());

  const enrol = async (path: string, body: object): Promise<Caller> => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const signed = await world.anonymous('POST', path, { ...body, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(), label: 'stolen' });
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
    return callerWith(world.address, 'kim', (signed.body as Answer<'signInByLink'>).key, privateKey);
  };
  const linkFrom = async (by: Caller): Promise<string> => {
    const { body } = await by.post<Answer<'issueLink'>>('/api/v1/principals/kim/sign-in-link');
    return body.link.split('#')[1] ?? '';
  };
  const approve = async (as: Caller) => {
    const asked = await ada.post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-write', reason: 'mine alone' });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    return await as.post<Answer<'reviewRequest'>>(`/api/v1/requests/${asked.body.id}/reviews`, { decision: 'approve', hash: asked.body.hash });
  };

  test('A01 an administrator approves own request with a key enrolled by a link of their own making', async () => {
    const puppet = await enrol('/api/v1/sign-in/link', { link: await linkFrom(ada) });
    const reply = await approve(puppet);
    assert.equal(reply.status, 403);
    assert.equal(reply.problem?.code, 'own_request');

    // A password set with that key carries the same mark.
    assert.equal((await puppet.call('PUT', '/api/v1/me/password', { password: 'four odd words apart' })).status, 200);
    const laundered = await enrol('/api/v1/sign-in/password', { name: 'kim', password: 'four odd words apart' });
    assert.equal((await approve(laundered)).problem?.code, 'own_request');
  });

  test('A01 a link from another administrator is as good as any', async () => {
    const kim = await enrol('/api/v1/sign-in/link', { link: await linkFrom(await world.as('sam')) });
    const reply = await approve(kim);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.equal(reply.body.state, 'approved');
  });
});
