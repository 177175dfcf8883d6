import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEM_CODES, Problem } from '#contract/problem.ts';
import { ROUTES, type Route } from '#contract/routes.ts';
import { Refusal, REFUSAL_CODES } from '#domain/refusal.ts';
import { openApi } from '#server/open-api.ts';
import { problemOf } from '#server/problem-of.ts';

test('the codes on the wire are those of the domain', () => {
  assert.deepEqual(PROBLEM_CODES, REFUSAL_CODES);
});

test('every code has a status of its own kind, and makes a problem as the contract words it', () => {
  for (const code of REFUSAL_CODES) {
    const problem = Problem.parse(problemOf(new Refusal(code, 'why', { hint: 'what next', field: '/x', facts: { a: 1 } }), 'trace'));
    assert.ok(problem.status >= 400 && problem.status <= 599, code);
    assert.deepEqual([problem.code, problem.detail, problem.hint, problem.field, problem.trace], [code, 'why', 'what next', '/x', 'trace']);
  }
  const status = (code: (typeof REFUSAL_CODES)[number]) => problemOf(new Refusal(code, ''), '').status;
  assert.deepEqual([status('unauthenticated'), status('own_request'), status('not_found'), status('stale_hash'), status('quota_exceeded'), status('internal')], [401, 403, 404, 409, 429, 500]);
});

test('what is not a refusal tells nothing of itself', () => {
  for (const error of [new Error('password=hunter2 at /srv/x.ts'), 'hunter2', { message: 'hunter2' }, null]) {
    const problem = problemOf(error, 'abc');
    assert.deepEqual([problem.code, problem.status, problem.trace], ['internal', 500, 'abc']);
    assert.doesNotMatch(JSON.stringify(problem), /hunter2|srv/);
  }
});

type Schema = { readonly [key: string]: unknown };
interface Operation extends Schema {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: Schema }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, { schema: Schema }>> };
  readonly responses: Readonly<Record<string, { description: string; content: Readonly<Record<string, { schema: Schema }>> }>>;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
}
interface Description {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: Readonly<Record<string, Schema>> };
}
const description = JSON.parse(JSON.stringify(openApi('1.2.3'))) as Description;
const operations = Object.entries(description.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));

/** Every schema in a tree of them, with where it stands. */
function* schemasIn(node: unknown, at: string): Generator<{ readonly at: string; readonly schema: Schema }> {
  if (node === null || typeof node !== 'object') return;
  if (!Array.isArray(node)) yield { at, schema: node as Schema };
  for (const [name, value] of Object.entries(node)) yield* schemasIn(value, `${at}/${name}`);
}

test('the description is OpenAPI 3.1 and names every route once', () => {
  assert.match(description.openapi, /^3\.1\.\d+$/);
  assert.deepEqual([description.info.title, description.info.version], ['Brevet', '1.2.3']);
  const routes = (Object.entries(ROUTES) as [string, Route][]).map(([name, { method, path }]) => `${name} ${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
  assert.deepEqual(operations.map(({ path, method, operation }) => `${operation.operationId} ${method} ${path}`).toSorted(), routes.toSorted());
  assert.equal(new Set(routes.map((route) => route.split(' ')[0])).size, routes.length);
});

test('each operation describes its parameters, its body, its answer, its refusals and who may', () => {
  for (const { path, method, operation } of operations) {
    const { parameters = [], requestBody, responses, security, operationId } = operation;
    assert.deepEqual(parameters.filter((one) => one.in === 'path').map((one) => one.name).sort(), [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort(), operationId);
    for (const parameter of parameters) assert.ok(['path', 'query', 'header'].includes(parameter.in) && typeof parameter.required === 'boolean' && parameter.schema, `${operationId} ${parameter.name}`);
    assert.equal(new Set(parameters.map((one) => `${one.in} ${one.name}`)).size, parameters.length, operationId);
    if (method === 'get') assert.equal(requestBody, undefined, `${operationId}: a question has no body`);
    if (requestBody) assert.deepEqual(Object.keys(requestBody.content), ['application/json']);
    assert.ok(responses['200']?.content['application/json']?.schema, operationId);
    assert.deepEqual(responses['default']?.content['application/problem+json']?.schema, { $ref: '#/components/schemas/Problem' });
    for (const response of Object.values(responses)) assert.ok(response.description.length > 0);
    const access = operation['x-access'];
    assert.ok(['public', 'signed_in', 'person', 'administrator'].includes(access as string), operationId);
    assert.deepEqual(security, access === 'public' ? [] : [{ signature: [] }], operationId);
    for (const scheme of security) for (const name of Object.keys(scheme)) assert.ok(description.components.securitySchemes[name]);
  }
});

test('every reference leads somewhere, and schemas use the words of JSON Schema 2020-12', () => {
  const old = ['nullable', 'definitions', 'id', 'discriminator', 'x-nullable'];
  for (const { path, method, operation } of operations) {
    const trees = [...(operation.parameters ?? []).map((one) => one.schema), operation.requestBody?.content['application/json']?.schema, operation.responses['200']?.content['application/json']?.schema];
    for (const { at, schema } of trees.flatMap((tree) => [...schemasIn(tree, `${method} ${path}`)])) {
      if (typeof schema['$ref'] === 'string') assert.ok(schema['$ref'] === '#' || schema['$ref'].startsWith('#/'), at);
      if (typeof schema['type'] !== 'string') continue;
      assert.ok(['string', 'number', 'integer', 'boolean', 'array', 'object', 'null'].includes(schema['type']), at);
      for (const word of old) if (!at.endsWith('/properties')) assert.ok(!(word in schema) || typeof schema[word] === 'object', `${at}: ${word}`);
    }
  }
});

test('A04: every object that is sent or answered names all of its members, and takes no other', () => {
  for (const { operation } of operations) {
    const both = [operation.requestBody?.content['application/json']?.schema, operation.responses['200']?.content['application/json']?.schema];
    for (const { at, schema } of both.flatMap((tree) => [...schemasIn(tree, operation.operationId)])) {
      if (schema['type'] === 'object' && schema['properties']) assert.equal(schema['additionalProperties'], false, at);
    }
  }
  for (const [name, route] of Object.entries(ROUTES) as [string, Route][]) {
    if (!route.body) continue;
    const parsed = route.body.safeParse({ unheard: 1 });
    assert.ok(parsed.error?.issues.some((issue) => issue.code === 'unrecognized_keys' && issue.keys.includes('unheard')), `${name} takes members that it does not know`);
  }
});

test('what changes something is never a GET, and what is public is known', () => {
  const all = Object.entries(ROUTES) as [string, Route][];
  assert.deepEqual(all.filter(([, route]) => route.access === 'public').map(([name]) => name), ['signInByLink', 'signInByPassword', 'authority', 'logHead']);
  for (const [name, route] of all) if (route.method === 'GET') assert.equal(route.body, undefined, name);
});
