import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ApprovalStage, Entitlement } from './entitlement.ts';
import { makeId, type GroupId, type IdKind, type PersonId } from './id.ts';
import type { Membership, Principal } from './principal.ts';
import { requestHash, type AccessRequest } from './request.ts';
import { agreedDuration, agreedScope, analyzeReview, progressOf, type Narrowing, type Review } from './review.ts';

const id = <K extends IdKind>(kind: K, n: number) => makeId(kind, 1_800_000_000_000, new Uint8Array(10).fill(n));
const at = (minutes: number) => new Date(Date.UTC(2026, 10, 30, 8, minutes));
const SENT = at(0);
const NOW = at(5);
const LEADS = id('group', 1);
const DBA = id('group', 2);
const person = (n: number, more: Partial<Principal> = {}): Principal => ({ id: id('person', n), kind: 'person', name: `p${n}`, displayName: `P${n}`, owner: null, disabledAt: null, administrator: false, ...more });
const ada = person(1);
const kim = person(2);
const bot: Principal = { ...person(9), id: id('workload', 9), kind: 'workload', owner: ada.id as PersonId };
const member = (group: GroupId, since = at(-60)): Membership => ({ group, groupName: 'x', since });
const TWO_STAGES: readonly ApprovalStage[] = [{ name: 'lead', groups: [LEADS], required: 1 }, { name: 'database', groups: [DBA, LEADS], required: 2 }];

function request(more: Partial<AccessRequest> = {}, stages = TWO_STAGES): AccessRequest {
  const entitlement: Entitlement = {
    id: id('entitlement', 1), name: 'e', title: 'E', folder: null, revision: 1, parts: [{ target: id('target', 1), kind: 'ephemeral_account', account: null, scope: {} }], stages,
    defaultDuration: 900, maxDuration: 3600, endMode: 'cut', warnSeconds: 30, graceSeconds: 30, maskLiterals: false, retiredAt: null,
  };
  const terms = {
    id: id('request', 1), principal: ada.id, onBehalfOf: null, entitlementId: entitlement.id, entitlement, extendsGrant: null, reason: 'r', ticket: null, durationSeconds: 600, startAt: null,
    createdAt: SENT, expiresAt: at(60), policyVersion: 1, ...more,
  };
  return { ...terms, state: 'pending', verdict: {}, hash: requestHash(terms), decidedAt: null, decisionReason: null, erasedAt: null, ...more };
}

function review(reviewer: number, stage: number, narrowed: Narrowing | null = null, decision: Review['decision'] = 'approve'): Review {
  return {
    id: id('review', reviewer), request: id('request', 1), requestHash: '', stage, reviewer: id('person', reviewer), decision, reason: null, narrowed,
    authentication: { method: 'link', at: NOW, phishingResistant: false, by: 'k' }, createdAt: NOW,
  };
}

const codes = (asked: AccessRequest, reviews: readonly Review[], reviewer: Principal, memberships: readonly Membership[], requester = ada, now = NOW) =>
  analyzeReview(asked, reviews, { reviewer, memberships, requester }, now).unsatisfied.map((one) => one.code);

test('a member of the stage that waits may decide, and is told what holds', () => {
  const analysis = analyzeReview(request(), [], { reviewer: kim, memberships: [member(LEADS)], requester: ada }, NOW);
  assert.equal(analysis.allowed, true);
  assert.equal(analysis.stage, 0);
  assert.deepEqual(analysis.unsatisfied, []);
  assert.equal(analysis.satisfied.length, 7);
});

test('A01: the requester does not decide, whatever groups they are in', () => {
  assert.deepEqual(codes(request(), [], ada, [member(LEADS), member(DBA)]), ['own_request']);
});

test('A02: nor does whoever owns the workload that asked, or the person it was asked for', () => {
  assert.deepEqual(codes(request({ principal: bot.id }), [], ada, [member(LEADS)], bot), ['own_request']);
  assert.deepEqual(codes(request({ onBehalfOf: kim.id }), [], kim, [member(LEADS)]), ['own_request']);
});

test('A02: who joined the group after the request decides on the next one', () => {
  assert.deepEqual(codes(request(), [], kim, [member(LEADS, at(1))]), ['not_a_reviewer']);
  assert.deepEqual(codes(request(), [], kim, [member(LEADS, SENT)]), []);
  assert.deepEqual(codes(request(), [], kim, [member(LEADS, new Date(SENT.getTime() + 1))]), ['not_a_reviewer']);
});

test('E09: a workload never decides, a disabled person neither', () => {
  assert.deepEqual(codes(request(), [], { ...bot, owner: kim.id as PersonId }, [member(LEADS)]), ['not_a_reviewer']);
  assert.deepEqual(codes(request(), [], person(2, { disabledAt: at(1) }), [member(LEADS)]), ['forbidden']);
});

test('only what is pending, and not past its time, can be decided', () => {
  for (const state of ['approved', 'denied', 'cancelled', 'expired'] as const) assert.deepEqual(codes(request({ state }), [], kim, [member(LEADS)]), ['wrong_state']);
  assert.deepEqual(codes(request(), [], kim, [member(LEADS)], ada, at(60)), ['wrong_state'], 'at its very end it has expired');
  assert.deepEqual(codes(request(), [], kim, [member(LEADS)], ada, new Date(at(60).getTime() - 1)), []);
});

test('A05: nobody decides twice, not even in another stage', () => {
  assert.deepEqual(codes(request(), [review(2, 0)], kim, [member(LEADS), member(DBA)]), ['already_reviewed']);
});

test('stages are passed in order', () => {
  assert.deepEqual(codes(request(), [], kim, [member(DBA)]), ['not_a_reviewer'], 'the second stage does not wait yet');
  assert.deepEqual(codes(request(), [review(3, 0)], kim, [member(DBA)]), []);
  assert.deepEqual(codes(request(), [review(3, 0), review(4, 1), review(5, 1)], kim, [member(DBA)]), ['not_a_reviewer'], 'nothing waits');
  assert.deepEqual(codes(request({}, []), [], kim, [member(DBA)]), ['not_a_reviewer'], 'there is no stage');
});

test('N of M: only different persons of that stage count, and only approvals', () => {
  const progress = (reviews: readonly Review[]) => progressOf(TWO_STAGES, reviews);
  assert.deepEqual(progress([]), { stage: 0, done: false, stages: [{ name: 'lead', required: 1, approved: 0 }, { name: 'database', required: 2, approved: 0 }] });
  assert.equal(progress([review(3, 0, null, 'deny')]).stage, 0);
  assert.equal(progress([review(3, 0), review(4, 1), review(4, 1)]).done, false, 'one person twice');
  assert.equal(progress([review(4, 1), review(5, 1)]).stage, 0, 'a later stage does not stand for an earlier one');
  assert.deepEqual([progress([review(3, 0), review(4, 1), review(5, 1)]).stage, progress([review(3, 0), review(4, 1), review(5, 1)]).done], [2, true]);
});

test('the stage that waits is the first that lacks somebody, for any reviews', () => {
  const reviews = fc.array(fc.record({ who: fc.integer({ min: 1, max: 6 }), stage: fc.integer({ min: 0, max: 2 }), yes: fc.boolean() }), { maxLength: 20 });
  const stages = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });
  fc.assert(fc.property(reviews, stages, (given, required) => {
    const table = required.map((count, n): ApprovalStage => ({ name: `s${n}`, groups: [LEADS], required: count }));
    const { stage, done } = progressOf(table, given.map((one) => review(one.who, one.stage, null, one.yes ? 'approve' : 'deny')));
    const persons = (n: number) => new Set(given.filter((one) => one.stage === n && one.yes).map((one) => one.who)).size;
    required.forEach((count, n) => {
      if (n < stage) assert.ok(persons(n) >= count);
      if (n === stage) assert.ok(persons(n) < count);
    });
    assert.equal(done, stage === required.length);
  }));
});

test('the shortest time that anybody agreed to counts', () => {
  assert.equal(agreedDuration(request(), []), 600);
  assert.equal(agreedDuration(request(), [review(3, 0, { durationSeconds: 300 }), review(4, 1, { durationSeconds: 450 }), review(5, 1)]), 300);
  assert.equal(agreedDuration(request(), [review(3, 0, { durationSeconds: 9000 })]), 600);
});

test('property: nobody can lengthen what was asked for, in whatever order they decide', () => {
  fc.assert(fc.property(fc.array(fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: null }), { maxLength: 8 }), (cuts) => {
    const given = cuts.map((seconds, n) => review(n + 3, 0, seconds === null ? null : { durationSeconds: seconds }));
    const agreed = agreedDuration(request(), given);
    assert.ok(agreed <= 600 && cuts.every((seconds) => seconds === null || agreed <= seconds));
    assert.equal(agreed, agreedDuration(request(), given.toReversed()));
  }));
});

test('the last narrowed scope of a part counts, and leaves other parts alone', () => {
  const [asked, less, least] = [{ verbs: ['select', 'insert'] }, { verbs: ['select'] }, { verbs: [] }];
  const given = [review(3, 0, { scopes: { '0': less } }), review(4, 1, { durationSeconds: 5 }), review(5, 1, { scopes: { '0': least } })];
  assert.equal(agreedScope(0, asked, []), asked);
  assert.equal(agreedScope(0, asked, given.slice(0, 2)), less);
  assert.equal(agreedScope(0, asked, given), least);
  assert.equal(agreedScope(1, asked, given), asked);
});
