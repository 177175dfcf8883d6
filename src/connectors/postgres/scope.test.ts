import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import type { GrantKind } from '#domain/entitlement.ts';
import { Refusal } from '#domain/refusal.ts';
import { describe, within } from './scope-reach.ts';
import { parseScope, VERBS, type Scope } from './scope.ts';

const refuses = (kind: GrantKind, scope: unknown, code: string, field: string) =>
  assert.throws(() => parseScope(kind, scope), (error) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.deepEqual([error.code, error.details.field], [code, field], `${JSON.stringify(scope)}: ${error.message}`);
    return true;
  });

test('a scope reads well in YAML, is normalised, and parses to itself again', () => {
  const scope = parseScope('ephemeral_account', parse(`
    database: orders
    access: read-write
    schemas: [sales, sales]
    tables: [z.b, '"a.b".c', '"plain".t']
    columns: { hr.people: [name, id] }
  `));
  assert.deepEqual(scope, {
    database: 'orders', verbs: ['select', 'insert', 'update', 'delete'], schemas: ['sales'], tables: ['"a.b".c', 'plain.t', 'z.b'],
    columns: { 'hr.people': ['id', 'name'] }, functions: [], createIn: [], roles: [], readOnly: false, connectionLimit: 10,
  });
  assert.deepEqual(parseScope('ephemeral_account', scope), scope);
  const reading = parseScope('ephemeral_account', { database: 'd', access: 'read-only', schemas: ['s'] });
  assert.equal(reading.readOnly, true);
  for (const kind of ['temporary_elevation', 'brokered_session'] as const) {
    const one = parseScope(kind, kind === 'brokered_session' ? { database: 'd' } : { roles: ['r'] });
    assert.deepEqual(parseScope(kind, one), one);
  }
});

test('what is unknown, contradictory or empty is refused, and where', () => {
  const d = { database: 'd' };
  refuses('ephemeral_account', null, 'invalid_input', '');
  refuses('ephemeral_account', { ...d, table: ['a.b'] }, 'invalid_input', '/table');
  refuses('ephemeral_account', JSON.parse('{"database":"d","__proto__":{"a":1},"roles":["r"]}'), 'invalid_input', '/__proto__');
  refuses('ephemeral_account', d, 'invalid_input', '');
  refuses('ephemeral_account', { ...d, tables: ['a.b'] }, 'invalid_input', '/access');
  refuses('ephemeral_account', { ...d, access: 'read-only' }, 'invalid_input', '/tables');
  refuses('ephemeral_account', { ...d, tables: ['a.b'], access: 'read-only', verbs: ['select'] }, 'invalid_input', '/verbs');
  refuses('ephemeral_account', { ...d, tables: ['a.b'], verbs: ['all'] }, 'invalid_input', '/verbs/0');
  refuses('ephemeral_account', { ...d, tables: ['b'], verbs: ['select'] }, 'invalid_input', '/tables/0');
  refuses('ephemeral_account', { ...d, columns: { 'a.b': ['c'] }, verbs: ['delete'] }, 'invalid_input', '/columns');
  refuses('ephemeral_account', { ...d, schemas: ['a'], access: 'read-write', readOnly: true }, 'invalid_input', '/readOnly');
  refuses('ephemeral_account', { ...d, schemas: ['a'], access: 'read-only', roles: ['r'], readOnly: true }, 'invalid_input', '/readOnly');
  refuses('ephemeral_account', { schemas: ['a'], access: 'read-only' }, 'invalid_input', '/database');
  refuses('temporary_elevation', { roles: ['r'], connectionLimit: 3 }, 'invalid_input', '/connectionLimit');
  refuses('brokered_session', { ...d, schemas: ['a'], access: 'read-only' }, 'invalid_input', '');
  refuses('brokered_session', {}, 'invalid_input', '/database');
  refuses('temporary_elevation', { roles: ['r'], ownerRoles: 'yes' }, 'invalid_input', '/ownerRoles');
  refuses('ephemeral_account', { ...d, schemas: ['a'], access: 'read-only', ownerRoles: 'allowed' }, 'invalid_input', '/ownerRoles');
  for (const limit of [-1, 1.5, 1e9, '3', null]) refuses('ephemeral_account', { ...d, roles: ['r'], connectionLimit: limit }, 'invalid_input', '/connectionLimit');
});

test('dangerous scopes are named as such', () => {
  const d = { database: 'd', access: 'read-only' };
  for (const key of ['superuser', 'createrole', 'CREATEDB', 'replication', 'bypassrls']) refuses('ephemeral_account', { ...d, [key]: true }, 'dangerous_scope', `/${key}`);
  refuses('ephemeral_account', { ...d, schemas: ['pg_catalog'] }, 'dangerous_scope', '/schemas');
  refuses('ephemeral_account', { ...d, tables: ['pg_catalog.pg_authid'] }, 'dangerous_scope', '/tables');
  refuses('ephemeral_account', { ...d, columns: { 'information_schema.tables': ['a'] } }, 'dangerous_scope', '/columns');
  refuses('temporary_elevation', { database: 'd', functions: ['pg_catalog.pg_read_file'] }, 'dangerous_scope', '/functions');
  refuses('ephemeral_account', { database: 'd', createIn: ['pg_temp'] }, 'dangerous_scope', '/createIn');
  for (const role of ['pg_write_server_files', 'pg_execute_server_program', 'pg_read_server_files', 'pg_signal_backend', 'pg_read_all_data', 'pg_database_owner', 'brevet_x', 'public', 'pg_of_tomorrow']) {
    refuses('temporary_elevation', { roles: [role] }, 'dangerous_scope', '/roles');
  }
  assert.deepEqual(parseScope('temporary_elevation', { roles: ['pg_monitor'] }).roles, ['pg_monitor']);
});

const names = (...from: string[]) => fc.subarray(from);
const anyScope = fc
  .record({
    verbs: fc.subarray([...VERBS], { minLength: 1 }), schemas: names('a', 'b'), tables: names('a.t', 'b.t', 'c.t'), functions: names('a.f'), createIn: names('a'), roles: names('r', 's'),
    columns: fc.dictionary(fc.constantFrom('a.t', 'c.t'), fc.subarray(['x', 'y'], { minLength: 1 })), connectionLimit: fc.integer({ min: 1, max: 3 }),
  })
  .map((scope) => ({ database: 'd', ...scope }))
  .map((scope): Scope | null => {
    try {
      return parseScope('ephemeral_account', scope);
    } catch {
      return null; // contradictory
    }
  })
  .filter((scope) => scope !== null);

/** All that a scope allows, spelled out over a small world; what `within` must agree with. */
function reach(scope: Scope): Set<string> {
  const all = new Set<string>();
  for (const verb of scope.verbs) {
    for (const table of ['a.t', 'a.later', 'b.t', 'b.later', 'c.t']) {
      if (scope.schemas.includes(table.slice(0, 1)) || scope.tables.includes(table)) for (const column of ['x', 'y', 'whole']) all.add(`${verb} ${table} ${column}`);
      for (const column of scope.columns[table] ?? []) all.add(`${verb} ${table} ${column}`);
    }
  }
  for (const kind of ['functions', 'createIn', 'roles'] as const) for (const name of scope[kind]) all.add(`${kind} ${name}`);
  for (let n = 1; n <= scope.connectionLimit; n++) all.add(`session ${n}`);
  return all;
}

test('within never says yes to a scope that reaches further (fast-check)', () => {
  let yes = 0;
  fc.assert(fc.property(anyScope, anyScope, (narrow, wide) => {
    assert.ok(within(wide, wide));
    if (!within(narrow, wide)) return;
    yes += 1;
    const widely = reach(wide);
    assert.ok([...reach(narrow)].every((one) => widely.has(one)), `${JSON.stringify(narrow)} is not within ${JSON.stringify(wide)}`);
  }), { numRuns: 5000 });
  assert.ok(yes > 20, `only ${yes} pairs were within`);
  const wide = parseScope('ephemeral_account', { database: 'd', access: 'read-only', schemas: ['a'] });
  assert.ok(within(parseScope('ephemeral_account', { database: 'd', access: 'read-only', columns: { 'a.t': ['x'] } }), wide));
  assert.ok(!within(parseScope('ephemeral_account', { database: 'e', access: 'read-only', schemas: ['a'] }), wide));
  assert.ok(!within({ ...wide, readOnly: false }, wide), 'read-only sessions stay so');
  const [lent, owners] = [parseScope('temporary_elevation', { roles: ['r'] }), parseScope('temporary_elevation', { roles: ['r'], ownerRoles: 'allowed' })];
  assert.deepEqual([within(lent, owners), within(owners, lent), within(owners, owners)], [true, false, true]);
  assert.deepEqual(parseScope('temporary_elevation', owners), owners);
});

test('the reach is told in plain words', () => {
  const scope = parseScope('ephemeral_account', { database: 'orders', verbs: ['select', 'trigger'], schemas: ['sales'], columns: { 'hr.людu': ['id'] }, roles: ['team'], connectionLimit: 2 });
  const lines = describe('ephemeral_account', scope);
  assert.deepEqual(lines, [
    'signs in to database orders with an account made for this grant, at most 2 sessions at once',
    'select, trigger on every table in schema sales in database orders',
    'select on columns id of hr.людu (contains non-ASCII letters) in database orders',
    'becomes a member of role team, with everything that role may do',
    'trigger: may attach code that runs with the rights of whoever changes the table',
  ]);
  const owners = describe('temporary_elevation', parseScope('temporary_elevation', { roles: ['team'], ownerRoles: 'allowed' }));
  assert.match(String(owners.at(-1)), /^WARNING: these roles may own objects .* outlives the grant/);
});
