import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { App } from '#app/app.ts';
import { readFiles } from '#app/configuration/read-files.ts';
import { resolve } from '#app/configuration/resolve.ts';
import { postgresConnector } from '#connectors/postgres/connector.ts';
import { makeAuthority } from '#test/worlds/certificates.ts';

const connector = postgresConnector({ installation: '0123456789abcdef', random: (n) => new Uint8Array(n), now: () => new Date() });
const app = { connectors: new Map([['postgresql', connector]]) } as unknown as App;

/** What a plan would complain about, as `line: message`. */
function complaints(text: string): readonly string[] {
  const { desired, findings } = readFiles([{ path: 'world.yaml', text }]);
  return [...findings, ...resolve(app, desired, new Set()).findings].map(({ line, message }) => `${line}: ${message}`);
}

const target = (...lines: string[]) => ['targets:', '  orders:', '    type: postgresql', '    config:', ...lines.map((line) => `      ${line}`)].join('\n');
const pem = (text: string) => ['ca: |', ...text.trim().split('\n').map((line) => `  ${line}`)];

test('a ca that is no certificate is refused where it stands', async () => {
  await using authority = await makeAuthority();
  assert.deepEqual(complaints(target('host: db', 'user: u', ...pem(authority.ca))), []);
  assert.deepEqual(complaints(target('host: db', 'user: u', ...pem(`${authority.ca}${authority.ca}`))), []);
  for (const text of ['-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----', authority.ca.replace('MII', 'MIX'), authority.ca.slice(0, 200)]) {
    assert.match(complaints(target('host: db', 'user: u', ...pem(text))).join(), /^7: .*certificate 1 in ca is no X\.509 certificate \(Put the whole PEM text/);
  }
  assert.match(complaints(target('host: db', 'user: u', ...pem(`${authority.ca}-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----`))).join(), /^7: .*certificate 2 in ca/);
  assert.match(complaints(target('host: db', 'user: u', 'ca: "hello"')).join(), /^7: .* at \/ca is "hello"; must be X\.509 certificates in PEM/);
  for (const tls of ['disable', 'prefer', 'require']) {
    assert.match(complaints(target('host: db', 'user: u', `tls: ${tls}`, ...pem(authority.ca))).join(), /^8: .*a ca is given, and with tls: \w+ nothing is checked by it \(Say tls: verify-full/);
  }
});

test('hosts, ports, modes and keys: what stood there, what is allowed, on its line', () => {
  for (const host of ['db one', 'db:5432', '/run/postgresql', 'postgresql://db', '', '-db']) {
    assert.match(complaints(target('user: u', `host: "${host}"`)).join(), /^6: .* at \/host is ".*"; must be a host name or an IP address, such as db1\.example\.com/, host);
  }
  for (const port of ['0', '65536', '"5432"', '1.5']) assert.match(complaints(target('host: db', 'user: u', `port: ${port}`)).join(), /^7: .* at \/port is .*; must be a port from 1 to 65535, such as 5432/, port);
  assert.match(complaints(target('host: db', 'user: u', 'tls: verify-ca')).join(), /^7: .*at \/tls is "verify-ca"; must be one of disable, prefer, require, verify-full/);
  assert.match(complaints(target('host: db', 'user: u', 'databse: x')).join(), /^7: .*at \/databse is not known\. Did you mean "database"\?/);
  assert.match(complaints(target('host: db')).join(), /at \/user is missing; must be a name/);
});

test('names that do not exist, with the nearest that does', () => {
  const said = complaints(`${target('host: db', 'user: u')}\nfolders: { shop: {} }\ngroups:\n  leads: { members: [ad] }\npeople: { ada: { name: Ada } }\nentitlements:\n  e:\n    title: E\n    folder: shpo\n    maximum: 1h\n    parts: [{ target: ordres, kind: ephemeral_account, scope: {} }]\n    stages: [{ groups: [lead] }]`);
  for (const one of ['there is no folder "shpo". Did you mean "shop"?', 'there is no target "ordres". Did you mean "orders"?', 'there is no group "lead". Did you mean "leads"?', 'there is no person or workload "ad". Did you mean "ada"?']) assert.ok(said.some((line) => line.endsWith(one)), `${one}\n${said.join('\n')}`);
});

test('wrong shapes of a file', () => {
  const said = (text: string) => complaints(text).join();
  assert.equal(said('peple: {}'), '1: peple is not known. Did you mean "people"?');
  assert.equal(said('people:\n  ada: { nam: Ada }').includes('people.ada.nam is not known. Did you mean "name"?'), true);
  assert.equal(said('people:\n  ada: { name: Ada, administrator: "yes" }'), '2: people.ada.administrator is "yes"; must be true or false');
  assert.equal(said('groups:\n  leads:\n    members: ada'), '3: groups.leads.members is "ada"; must be a list');
  assert.equal(said('people:\n  Ada: { name: Ada }'), "2: people.Ada can't be called that: a name holds lower-case letters, digits, dots and dashes");
  assert.match(said('entitlements:\n  x: { title: X, maximum: [], parts: [] }'), /entitlements\.x\.parts is a list; must have at least 1 entry.*entitlements\.x\.maximum is a list; must be a duration, such as 45m/);
  assert.match(said('groups:\n  leads:\n    members: [Kim]'), /3: groups\.leads\.members\.0 is "Kim"; a name holds lower-case/);
  assert.doesNotMatch(said('entitlements:\n  x: { title: X, maximum: 1h, parts: [], end: never }'), /Invalid|expected/);
});
