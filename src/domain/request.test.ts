import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Entitlement } from './entitlement.ts';
import { makeId, type IdKind } from './id.ts';
import { requestHash, type RequestTerms } from './request.ts';

const id = <K extends IdKind>(kind: K, n: number) => makeId(kind, 1_800_000_000_000, new Uint8Array(10).fill(n));
const entitlement: Entitlement = {
  id: id('entitlement', 1), name: 'orders-read', title: 'Read orders', folder: null, revision: 3,
  parts: [{ target: id('target', 1), kind: 'ephemeral_account', account: null, scope: { tables: ['shop.orders'], verbs: ['select'] } }],
  stages: [{ name: 'lead', groups: [id('group', 1), id('group', 2)], required: 1 }],
  defaultDuration: 900, maxDuration: 3600, endMode: 'cut', warnSeconds: 30, graceSeconds: 30, maskLiterals: false, retiredAt: null,
};
const terms: RequestTerms = {
  id: id('request', 1), principal: id('workload', 1), onBehalfOf: id('person', 1), entitlementId: entitlement.id, entitlement, extendsGrant: id('grant', 1), reason: 'invoices are late',
  ticket: 'OPS-7', durationSeconds: 600, startAt: new Date('2026-12-01T08:00:00Z'), createdAt: new Date('2026-11-30T08:00:00Z'), expiresAt: new Date('2026-12-01T08:00:00Z'), policyVersion: 4,
};
const part = entitlement.parts[0] as Entitlement['parts'][number];
const stage = entitlement.stages[0] as Entitlement['stages'][number];
const having = (change: Partial<Entitlement>): Partial<RequestTerms> => ({ entitlement: { ...entitlement, ...change } });

/** What a reviewer approves: each of these makes it another request. */
const CHANGES: Readonly<Record<string, Partial<RequestTerms>>> = {
  id: { id: id('request', 2) },
  principal: { principal: id('workload', 2) },
  'on behalf of': { onBehalfOf: id('person', 2) },
  'on behalf of nobody': { onBehalfOf: null },
  entitlement: { entitlementId: id('entitlement', 2) },
  revision: having({ revision: 4 }),
  target: having({ parts: [{ ...part, target: id('target', 2) }] }),
  kind: having({ parts: [{ ...part, kind: 'brokered_session' }] }),
  account: having({ parts: [{ ...part, account: 'postgres' }] }),
  'a wider scope': having({ parts: [{ ...part, scope: { tables: ['shop.orders'], verbs: ['select', 'delete'] } }] }),
  'a further part': having({ parts: [part, part] }),
  'another group': having({ stages: [{ ...stage, groups: [id('group', 3)] }] }),
  'fewer reviewers': having({ stages: [{ ...stage, required: 2 }] }),
  'no stage': having({ stages: [] }),
  'end mode': having({ endMode: 'warn_then_cut' }),
  'the grant it extends': { extendsGrant: id('grant', 2) },
  'no extension': { extendsGrant: null },
  reason: { reason: 'invoices are late ' },
  ticket: { ticket: 'OPS-8' },
  'no ticket': { ticket: null },
  duration: { durationSeconds: 601 },
  start: { startAt: new Date('2026-12-01T08:00:00.001Z') },
  'start at once': { startAt: null },
  created: { createdAt: new Date('2026-11-30T08:00:00.001Z') },
  expires: { expiresAt: new Date('2026-12-01T08:00:00.001Z') },
  'policy version': { policyVersion: 5 },
};

test('the hash is that of the canonical JSON, and the same for the same terms', () => {
  assert.match(requestHash(terms), /^[0-9a-f]{64}$/);
  assert.equal(requestHash({ ...terms, startAt: new Date(terms.startAt ?? 0) }), requestHash(terms));
  const shuffled = Object.fromEntries(Object.entries(terms).toReversed()) as unknown as RequestTerms;
  assert.equal(requestHash(shuffled), requestHash(terms));
  assert.equal(requestHash(terms), 'fd5e5aabad19f1601f476924625d483eeb8de96c725092be2b9a9e20e592971d', 'hashes that stand in logs are made another way now');
});

test('A04: every field that a reviewer approves changes the hash, each in its own way', () => {
  const seen = new Map([[requestHash(terms), 'as it was']]);
  for (const [name, change] of Object.entries(CHANGES)) {
    const hash = requestHash({ ...terms, ...change });
    assert.equal(seen.get(hash), undefined, `${name} has the hash of: ${seen.get(hash)}`);
    seen.set(hash, name);
  }
});

test('A04: all members of the terms stand in the hash', () => {
  const covered = new Set(Object.values(CHANGES).flatMap((change) => Object.keys(change)));
  assert.deepEqual([...covered].sort(), Object.keys(terms).sort());
});

test('A04: two different texts never make one hash, wherever the borders lie', () => {
  const text = fc.string({ minLength: 1, unit: 'grapheme' }).filter((one) => one.isWellFormed());
  const ticket = fc.option(text, { nil: null });
  fc.assert(fc.property(text, text, ticket, ticket, fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 1, max: 4000 }), (r1, r2, t1, t2, d1, d2) => {
    const same = r1 === r2 && t1 === t2 && d1 === d2;
    const one = requestHash({ ...terms, reason: r1, ticket: t1, durationSeconds: d1 });
    assert.equal(one === requestHash({ ...terms, reason: r2, ticket: t2, durationSeconds: d2 }), same);
  }));
});
