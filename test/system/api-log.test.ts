/** The proof of one grant's life, as the API hands it out: whole, or refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { verifyGrant, type EvidenceReport } from '#log/evidence.ts';
import { done, refused, review, whenTrue } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';

let world: BrevetWorld;
let [ada, noor]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;

before(async () => {
  world = await brevetWorld({ brokers: 0 });
  [ada, noor] = await Promise.all(['ada', 'noor'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());

const numbered = () => whenTrue(world, 'not exists (select from brevet.log_entries where index is null)', [], 60_000);
const evidenceOf = (grant: string) => they(ada).get<Answer<'evidence'>>(`/api/v1/grants/${grant}/evidence`);

/** As many entries about a grant as a busy client's sessions would make. */
async function tellMuch(grant: string, count: number): Promise<void> {
  for (let told = 0; told < count; told += 1000) {
    await world.server.app.store.transaction(async (tx) => {
      for (let n = told; n < Math.min(told + 1000, count); n++) await tx.log({ type: 'session.noted', actor: 'system', data: { grant } });
    });
  }
}

async function verified(grant: string): Promise<EvidenceReport> {
  await numbered();
  return verifyGrant(Buffer.from(JSON.stringify(done(await evidenceOf(grant)))), { vkey: world.server.keys.logSigner.vkey, grant });
}

test('evidence of an extended grant holds who asked for more time, and who allowed it', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 600, ticket: 'T-1' });
  const extension = done(await they(ada).post<Answer<'extendGrant'>>(`/api/v1/grants/${grant.id}/extend`, { duration: '40m', reason: 'more' }));
  done(await review(they(noor), extension));
  const report = await verified(grant.id);
  assert.deepEqual(report.findings, []);
  const told = report.entries.map(({ entry }) => `${entry.type} ${entry.data['request'] === extension.id ? 'of the extension' : ''}`.trim());
  for (const type of ['request.submitted', 'review.given', 'request.approved']) assert.ok(told.includes(`${type} of the extension`), `${type}: ${told.join()}`);
  assert.ok(told.includes('grant.extended'));
});

test('evidence of a grant with thousands of entries is whole, and beyond what a proof holds it is refused', { timeout: 180_000 }, async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 600, ticket: 'T-1' });
  await tellMuch(grant.id, 2_500);
  const report = await verified(grant.id);
  assert.deepEqual([report.findings, report.gaps], [[], []]);
  assert.equal(report.entries.filter(({ entry }) => entry.type === 'session.noted').length, 2_500);
  await tellMuch(grant.id, 7_501);
  await numbered();
  refused(await evidenceOf(grant.id), 413, 'payload_too_large');
});
