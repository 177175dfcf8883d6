import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { readSettings } from './settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'brevet-settings-'));
after(() => rmSync(folder, { recursive: true }));

function refusal(env: Record<string, string>, yaml?: string): string {
  const file = yaml === undefined ? null : join(folder, 'brevet.yaml');
  if (file !== null) writeFileSync(file, yaml ?? '');
  try {
    readSettings(env, file);
  } catch (error) {
    assert.ok(error instanceof Refusal && error.code === 'invalid_configuration', String(error));
    assert.doesNotMatch(error.message, /Invalid|expected|received|Too (?:big|small)/, 'words of the schema library');
    assert.ok(error.details.field && error.details.hint !== '', error.message);
    return error.message.replaceAll(folder, '');
  }
  throw new Error(`accepted: ${JSON.stringify(env)} ${yaml}`);
}

test('a wrong setting: which one, what stood there, what is allowed', () => {
  assert.equal(refusal({ BREVET_HTTP_PORT: 'http' }), 'the setting BREVET_HTTP_PORT is "http"; must be a port from 0 to 65535, such as 8484');
  assert.equal(refusal({}, 'http: { port: 70000 }'), 'the setting http.port is 70000; must be a port from 0 to 65535, such as 8484');
  assert.equal(refusal({}, 'http: { port: true }'), 'the setting http.port is true; must be a port from 0 to 65535, such as 8484');
  assert.equal(refusal({ BREVET_LOG_PUBLIC: 'maybe' }), 'the setting BREVET_LOG_PUBLIC is "maybe"; must be true or false');
  assert.equal(refusal({ BREVET_JOURNAL: 'debug' }), 'the setting BREVET_JOURNAL is "debug"; must be one of info, warn, silent');
  assert.equal(refusal({ BREVET_CONNECTIONS: '3' }), 'the setting BREVET_CONNECTIONS is "3"; must be a number from 4 to 500, such as 20');
  assert.match(refusal({ BREVET_LOG_ORIGIN: 'A B' }), /^the setting BREVET_LOG_ORIGIN is "A B"; .* such as brevet.example\/log$/);
  assert.match(refusal({ BREVET_ADDRESSES: 'brevet.example' }), /such as https:\/\/brevet.example$/);
  assert.match(refusal({ BREVET_ADDRESSES: 'https://a.example/brevet' }), /without a path/);
  assert.match(refusal({ BREVET_BROKER_NAME: 'a b' }), /^the setting BREVET_BROKER_NAME is "a b"/);
  assert.match(refusal({}, 'http: 8484'), /^the setting http is 8484; must be a map/);
  assert.match(refusal({ BREVET_HTTP_PORT: '1' }, 'http: 8484'), /^the setting http is 8484/);
  assert.match(refusal({}, 'data: ""'), /^the setting data is ""/);
});

test('an unknown key, and a variable that is nearly one', () => {
  assert.equal(refusal({}, 'htp: { port: 1 }'), 'the setting htp is not known. Did you mean "http"?');
  assert.equal(refusal({}, 'http: { prot: 1 }'), 'the setting http.prot is not known. Did you mean "port"?');
  assert.match(refusal({}, 'xyzzy: 1'), /^the setting xyzzy is not known. Known here: data, database, http/);
  assert.equal(refusal({ BREVET_HTTP_PROT: '1' }), 'there is no variable BREVET_HTTP_PROT. Did you mean "BREVET_HTTP_PORT"?');
  readSettings({ BREVET_HOME: '/h', BREVET_SERVER: 'x', BREVET_DEBUG: '1', BREVET_SOMETHING_ELSE_ENTIRELY: 'x' }, null);
  assert.match(refusal({}, 'http: [}'), /can't be read/);
});

test('a secret is never repeated', () => {
  for (const url of ['mysql://a:hunter2@h/x', 'postgresql://a:hunter2 2@h/x', 'hunter2', 'postgresql://a:hunter2@h:port/x']) {
    const said = refusal({ DATABASE_URL: url });
    assert.ok(said.startsWith('the setting DATABASE_URL is wrong; ') && !said.includes('hunter2') && said.includes('postgresql://'), said);
  }
});

test('good ones', () => {
  const urls = ['postgresql://a:b@h:5432/x', 'postgres://a@h/x?sslmode=require', 'postgresql://a@/x?host=/run/postgresql'];
  for (const url of urls) assert.equal(readSettings({ DATABASE_URL: url }, null).database, url);
  assert.equal(readSettings({ BREVET_LOG_PUBLIC: 'yes', BREVET_HTTP_PORT: '0' }, null).http.port, 0);
  assert.equal(readSettings({ BREVET_ADDRESSES: 'https://a.example, http://b.example:8080/' }, null).addresses?.includes('b.example'), true);
});
