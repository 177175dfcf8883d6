import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ada, ines, kim, reportBot, sam } from '#test/worlds/policy-world.ts';
import type { Catalogue, CatalogueEntitlement } from './catalogue.ts';
import { lintPolicies } from './lint.ts';

const lint = (text: string, catalogue: Catalogue | null = null) => lintPolicies([{ file: 'a.cedar', text }], catalogue);
const codes = (text: string, catalogue: Catalogue | null = null) => lint(text, catalogue).map(({ code }) => code);
const policy = (body: string) => `@id("p") @reason("r") ${body}`;

describe('lint of policies', () => {
  const cases: readonly [string, string, readonly string[]][] = [
    ['a missing reason', '@id("p") permit(principal in Group::"g", action == Action::"request", resource);', ['reason_missing']],
    ['everything to everybody', policy('permit(principal, action, resource);'), [
      'action_unconstrained', 'resource_unconstrained', 'principal_unconstrained', 'auto_approve_unbounded', 'auto_approve_wildcard', 'break_glass_weak', 'self_review_not_excluded',
    ]],
    ['automatic approval of any duration', policy('permit(principal in Group::"g", action == Action::"autoApprove", resource == Entitlement::"e");'), ['auto_approve_unbounded']],
    ['automatic approval of everything for a group', policy('permit(principal in Group::"g", action == Action::"autoApprove", resource) when { context.durationSeconds < 60 };'), ['auto_approve_wildcard']],
    ['bounded automatic approval', policy('permit(principal in Group::"g", action == Action::"autoApprove", resource == Entitlement::"e") when { context.durationSeconds < 60 };'), []],
    ['administration by everybody', policy('permit(principal is Person, action == Action::"administer", resource);'), ['principal_unconstrained']],
    ['administration by those a condition names', policy('permit(principal, action == Action::"administer", resource) when { principal.administrator };'), []],
    ['breaking the glass without strong sign-in', policy('permit(principal in Group::"g", action == Action::"breakGlass", resource);'), ['break_glass_weak']],
    ['review that forgets the requester', policy('permit(principal in Group::"g", action == Action::"review", resource);'), ['self_review_not_excluded']],
    ['review guarded by a forbid', `${policy('permit(principal in Group::"g", action == Action::"review", resource);')}
      @id("q") @reason("r") forbid(principal, action == Action::"review", resource) when { context.requester == principal.name };`, []],
    ['a way to sign in that there is', policy('forbid(principal, action == Action::"review", resource) when { context has authentication && context.authentication.method == "password" };'), []],
    ['a way to sign in that there is not', policy('forbid(principal, action == Action::"review", resource) when { context has authentication && ["passkey", "link"].contains(context.authentication.method) };'), ['sign_in_method_unknown']],
    ['a forbid of everything', policy('forbid(principal, action, resource);'), ['forbid_everything']],
  ];
  for (const [what, text, expected] of cases) it(what, () => assert.deepEqual(codes(text), expected));

  it('D8 says where', () => {
    const [found] = lint(`\n  ${policy('forbid(principal, action, resource);')}`);
    assert.deepEqual([found?.file, found?.line, found?.column, found?.policy], ['a.cedar', 2, 3, 'p']);
  });
});

const READ = `${policy('permit(principal in Group::"developers", action == Action::"request", resource in Folder::"shop");')}`;
const entitlement = (change: Partial<CatalogueEntitlement> = {}): CatalogueEntitlement => ({
  id: 'ent_1', name: 'orders-write', folder: null, kinds: ['ephemeral_account'], targets: [{ name: 'orders', type: 'postgres', folder: 'shop' }],
  stages: [{ name: 'leads', groups: ['order-leads'], required: 1 }], maxDuration: 3600, place: { file: 'e.yaml', line: 3, column: 1 }, ...change,
});
const world = (change: Partial<CatalogueEntitlement> = {}, principals = [ada, kim, ines, sam, reportBot, { ...kim, name: 'kai' }]): Catalogue => ({
  groups: ['developers', 'order-leads', 'dba', 'empty'], folders: ['shop'], principals,
  targets: [{ name: 'orders', type: 'postgres', folder: 'shop' }], entitlements: [entitlement(change)],
});

describe('lint of a catalogue', () => {
  it('finds nothing in a sound one', () => assert.deepEqual(codes(READ, world()), []));

  it('names that do not exist, with the nearest that does', () => {
    const [found] = lint(READ.replace('"developers"', '"develpers"'), world());
    assert.equal(found?.code, 'unknown_name');
    assert.match(found?.message ?? '', /no group "develpers".*Did you mean "developers"\?/);
  });

  it('a group without members', () => assert.ok(codes(READ.replace('"developers"', '"empty"'), world()).includes('empty_group')));

  it('nobody may request it', () => assert.ok(codes(READ.replace('"shop"', '"other"'), world()).includes('no_requester')));

  it('no stage and no automatic approval', () => {
    assert.deepEqual(codes(READ, world({ stages: [] })), ['no_approval_path']);
    const auto = '@id("q") @reason("r") permit(principal in Group::"dba", action == Action::"autoApprove", resource in Target::"orders") when { context.durationSeconds < 9 };';
    assert.ok(!codes(READ + auto, world({ stages: [] })).includes('no_approval_path'));
  });

  it('a stage with too few people', () => {
    const stages = [{ name: 'leads', groups: ['order-leads'], required: 3 }];
    assert.deepEqual(codes(READ, world({ stages })), ['stage_unpassable']);
    assert.deepEqual(codes(READ, world({ stages: [{ name: 'none', groups: ['empty'], required: 1 }] })), ['stage_unpassable']);
  });

  it('two stages that the same person would have to pass', () => {
    const both = { ...ines, groups: ['dba', 'order-leads'] };
    const stages = [{ name: 'leads', groups: ['order-leads'], required: 1 }, { name: 'dba', groups: ['dba'], required: 1 }];
    assert.ok(codes(READ, world({ stages }, [ada, both])).includes('stage_unpassable'));
    assert.ok(!codes(READ, world({ stages }, [ada, both, kim])).includes('stage_unpassable'));
  });

  it('one person without a substitute, by name', () => {
    const [found] = lint(READ, world({}, [ada, kim]));
    assert.equal(found?.code, 'stage_without_substitute');
    assert.match(found?.message ?? '', /stand in for kim:/);
    assert.deepEqual([found?.file, found?.line], ['e.yaml', 3]);
  });

  it('a workload is no reviewer', () => {
    const bot = { ...reportBot, groups: ['order-leads'] };
    assert.ok(codes(READ, world({}, [ada, bot])).includes('stage_unpassable'));
  });

  it('a duration above the limit', () => {
    assert.deepEqual(codes(READ, world({ maxDuration: 12 * 3600 + 1 })), ['duration_over_limit']);
    assert.deepEqual(codes(READ, world({ maxDuration: 12 * 3600 })), []);
  });

  it('a folder other than its target has', () => assert.ok(codes(READ, world({ folder: 'play' })).includes('folder_differs')));
});
