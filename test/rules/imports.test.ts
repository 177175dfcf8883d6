import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { importsOf, read, resolveImport, sources, type Import } from '#test/worlds/repository.ts';

/** Which folders each folder of src/ may import beside itself (ARCHITECTURE.md tells why). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  contract: [],
  app: ['domain'],
  store: ['app', 'domain', 'contract'],
  server: ['app', 'domain', 'contract'],
  brokers: ['app', 'domain', 'contract'],
  connectors: ['app', 'domain', 'contract'],
  signin: ['app', 'domain', 'contract'],
  log: ['app', 'domain', 'contract'],
  policy: ['app', 'domain', 'contract'],
  secrets: ['app', 'domain', 'contract'],
  cli: ['contract'],
  main: ['app', 'brokers', 'cli', 'connectors', 'contract', 'domain', 'log', 'policy', 'secrets', 'server', 'signin', 'store'],
};

/** Packages, and modules of Node's that reach the world, each with the folders that may use them. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@cedar-policy/cedar-wasm/nodejs': ['policy'],
  commander: ['cli'],
  fastify: ['server'],
  pg: ['store', 'connectors', 'main'],
  pino: ['main'],
  'prom-client': ['main'],
  ssh2: ['brokers', 'connectors'],
  yaml: ['app', 'policy', 'cli', 'main'],
  zod: ['app', 'contract', 'server', 'connectors', 'policy', 'main'],
};
/** What inner folders may use of Node: computing, no files, no sockets, no processes. */
const PURE = ['node:crypto', 'node:buffer', 'node:net'];
const INNER = ['domain', 'contract', 'app'];

const files = sources('src');
const imports = files.filter((file) => !file.isTest).flatMap(importsOf);
const at = ({ from, line, specifier }: Import) => `${from.path}:${line} imports ${specifier}`;

function folderOf(path: string): string {
  return path.split('/')[1] ?? '';
}

test('the folders of src/ are those that the table of directions knows', () => {
  assert.deepEqual([...new Set(files.map((file) => file.folder))].sort(), Object.keys(MAY_IMPORT).sort());
});

test('imports go inwards only: never to a sibling adapter, never to main', () => {
  const wrong = imports.filter((one) => {
    const path = resolveImport(one);
    if (path === null) return false;
    const to = path.startsWith('src/') ? folderOf(path) : 'test';
    return to !== one.from.folder && !(MAY_IMPORT[one.from.folder] ?? []).includes(to);
  });
  assert.deepEqual(wrong.map(at), []);
});

test('what is imported is there, by its whole name', () => {
  const wrong = [...imports, ...sources('test', 'bench').flatMap(importsOf)].filter((one) => {
    const path = resolveImport(one);
    return path !== null && !existsSync(new URL(`../../${path}`, import.meta.url));
  });
  assert.deepEqual(wrong.map(at), []);
});

test('imports within a folder are relative, others go by #folder', () => {
  const wrong = imports.filter((one) => {
    const path = resolveImport(one);
    if (path === null) return false;
    return one.specifier.startsWith('.') !== (folderOf(path) === one.from.folder);
  });
  assert.deepEqual(wrong.map(at), []);
});

test('each package is used where it belongs, and only there', () => {
  const outside = imports.filter((one) => resolveImport(one) === null && !one.specifier.startsWith('node:'));
  assert.deepEqual(outside.filter((one) => !PACKAGES[one.specifier]?.includes(one.from.folder)).map(at), []);
  const used = new Set(outside.map(({ specifier }) => specifier));
  for (const name of Object.keys(PACKAGES)) assert.ok(used.has(name), `nobody imports ${name}`);
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  const declared = Object.keys(dependencies);
  assert.deepEqual([...used].map((name) => declared.find((one) => name === one || name.startsWith(`${one}/`))).sort(), declared.sort());
});

test('domain, contract and app reach no file, socket or process', () => {
  const wrong = imports.filter((one) => INNER.includes(one.from.folder) && one.specifier.startsWith('node:') && !PURE.includes(one.specifier));
  assert.deepEqual(wrong.map(at), []);
});
