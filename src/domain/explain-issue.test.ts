import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { explainIssue } from './explain-issue.ts';

const Port = z.int().min(1).max(65_535).describe('a port from 1 to 65535');
const schema = z.strictObject({
  http: z.strictObject({ port: Port.default(8484), host: z.string() }).prefault({ host: 'x' }),
  people: z.record(z.string(), z.strictObject({ name: z.string(), age: z.number().optional() })).default({}),
  journal: z.enum(['info', 'warn']).optional(),
  key: z.string().refine((text) => text !== 'bad', { message: 'it does not fit' }).optional(),
  flag: z.boolean().optional(),
});

function explain(input: unknown): string {
  const { error } = schema.safeParse(input);
  assert.ok(error?.issues[0], JSON.stringify(input));
  const { path, words } = explainIssue(schema, error.issues[0], input, (at) => at[0] === 'key');
  return `${path.join('.')} ${words}`;
}

test('what stood there and what may stand there, in plain words', () => {
  assert.equal(explain({ http: { port: 'eighty', host: 'h' } }), 'http.port is "eighty"; must be a port from 1 to 65535');
  assert.equal(explain({ http: { port: 70_000, host: 'h' } }), 'http.port is 70000; must be a port from 1 to 65535');
  assert.equal(explain({ http: { port: 1 } }), 'http.host is missing; must be a text');
  assert.equal(explain({ http: [] }), 'http is a list; must be a map of names to values');
  assert.equal(explain({ journal: 'debug' }), 'journal is "debug"; must be one of info, warn');
  assert.equal(explain({ flag: null }), 'flag is empty; must be true or false');
  assert.equal(explain({ people: { ada: { name: 'x', age: 'x'.repeat(500) } } }), `people.ada.age is "${'x'.repeat(59)}…; must be a number`);
});

test('an unknown key: the nearest one, else all of them', () => {
  assert.equal(explain({ http: { prot: 1, host: 'h' } }), 'http.prot is not known. Did you mean "port"?');
  assert.equal(explain({ people: { ada: { name: 'x', agee: 3 } } }), 'people.ada.agee is not known. Did you mean "age"?');
  assert.equal(explain({ people: { ada: { name: 'x', zzzzzzz: 3 } } }), 'people.ada.zzzzzzz is not known. Known here: name, age.');
});

test('a secret is not shown', () => {
  assert.equal(explain({ key: 'bad' }), 'key is wrong; it does not fit');
});
