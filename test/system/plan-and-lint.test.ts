/** What a plan and a lint of a folder find before anything is applied. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { done } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';

let world: BrevetWorld;
let sam: Caller;
before(async () => {
  world = await brevetWorld({ brokers: 0 });
  sam = await world.as('sam');
});
after(() => world[Symbol.asyncDispose]());

type Files = readonly { readonly path: string; readonly text: string }[];
const files = (edit: (text: string) => string = (text) => text): Files => demoFiles(world.target.port).map(({ path, text }) => ({ path, text: edit(text) }));
const plan = async (of: Files) => done(await sam.post<Answer<'planConfiguration'>>('/api/v1/configuration/plan', { files: of }));
const lint = async (of: Files) => {
  const sources = of.filter(({ path }) => path.endsWith('.cedar')).map(({ path, text }) => ({ file: path, text }));
  return done(await sam.post<Answer<'lintPolicies'>>('/api/v1/policies/lint', { sources, files: of.filter(({ path }) => path.endsWith('.yaml') && !path.endsWith('.test.yaml')) })).findings;
};
const codes = (findings: readonly { code: string }[]) => findings.map(({ code }) => code);

test('lint looks names up in the folder: a group that is only there is known, one that the folder leaves out is not', async () => {
  const renamed = files((text) => text.replaceAll('order-leads', 'order-chiefs'));
  assert.deepEqual(codes(await lint(renamed)).filter((code) => code === 'unknown_name' || code === 'empty_group'), []);
  const halfway = files().map(({ path, text }) => ({ path, text: path.endsWith('.cedar') ? text.replaceAll('order-leads', 'order-chiefs') : text }));
  assert.ok(codes(await lint(halfway)).includes('unknown_name'));
});

test('a stage that nobody can pass is found by lint and by plan, with its place', async () => {
  const strict = files((text) => text.replace(/required: \d+/g, 'required: 9').replace(/groups: \[order-leads\] \}/g, 'groups: [order-leads], required: 9 }'));
  for (const findings of [await lint(strict), (await plan(strict)).findings]) {
    const found = findings.find(({ code }) => code === 'stage_unpassable');
    assert.ok(found?.file && found.line, JSON.stringify(findings));
  }
  assert.deepEqual(codes((await plan(files())).findings), []);
});

test("A07 a name of somebody erased is a mistake of the plan, with file and line", async () => {
  done(await sam.post('/api/v1/principals', { kind: 'person', name: 'temporary', displayName: 'T' }));
  done(await sam.post('/api/v1/principals/temporary/disable'));
  done(await sam.post('/api/v1/principals/temporary/erase'));
  const again = [...files(), { path: 'more.yaml', text: 'people:\n  temporary: { name: Again }\n' }];
  const found = (await plan(again)).findings;
  assert.deepEqual(found.map(({ code, severity, file, line }) => [code, severity, file, line]), [['name_of_erased', 'error', 'more.yaml', 2]]);
});
