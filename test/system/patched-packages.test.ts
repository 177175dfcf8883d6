import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const { applyPatches } = (await import(new URL('../../bin/apply-patches.mjs', import.meta.url).href)) as { applyPatches(root: string): void };

const ORIGINAL = 'one\ntwo\nthree\nfour\nfive\n';
const PATCH = `Why this is changed.

--- a/lib/x.js
+++ b/lib/x.js
@@ -1,2 +1,3 @@
 one
+one and a half
 two
@@ -4,2 +5,1 @@
-four
 five
`;
const PATCHED = 'one\none and a half\ntwo\nthree\nfive\n';

/** A repository with one package and a patch for it. */
async function repository(text = ORIGINAL, version = '1.2.3') {
  const root = await mkdtemp(join(tmpdir(), 'brevet-patch-'));
  await mkdir(join(root, 'node_modules/thing/lib'), { recursive: true });
  await mkdir(join(root, 'patches'));
  await writeFile(join(root, 'node_modules/thing/package.json'), JSON.stringify({ version }));
  await writeFile(join(root, 'node_modules/thing/lib/x.js'), text);
  await writeFile(join(root, 'patches/thing-1.2.3.patch'), PATCH);
  const at = (path: string) => join(root, path);
  return { root, at, read: () => readFile(at('node_modules/thing/lib/x.js'), 'utf8'), [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}

test('a patch is applied once, to this folder of packages only', async () => {
  await using repo = await repository();
  await link(repo.at('node_modules/thing/lib/x.js'), repo.at('the-same-file-elsewhere'));
  applyPatches(repo.root);
  assert.equal(await repo.read(), PATCHED);
  applyPatches(repo.root);
  assert.equal(await repo.read(), PATCHED);
  assert.equal(await readFile(repo.at('the-same-file-elsewhere'), 'utf8'), ORIGINAL);
  assert.deepEqual(await readdir(repo.at('node_modules/thing/lib')), ['x.js']);
});

test('H04 what is not the published package, or of another version, is left as it is', async () => {
  for (const text of [ORIGINAL.replace('two', 'too'), `zero\n${ORIGINAL}`, PATCHED.replace('five', 'six')]) {
    await using repo = await repository(text);
    assert.throws(() => applyPatches(repo.root), /is not what patches\/thing-1\.2\.3\.patch was made for/);
    assert.equal(await repo.read(), text);
  }
  await using other = await repository(ORIGINAL, '1.2.4');
  assert.throws(() => applyPatches(other.root), /not for thing 1\.2\.4/);
});

test('the packages of this repository are patched', async () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const lib = join(root, 'node_modules/ssh2/lib/protocol');
  const before = await Promise.all(['kex.js', 'constants.js', 'Protocol.js'].map((name) => readFile(join(lib, name), 'utf8')));
  applyPatches(root);
  assert.deepEqual(await Promise.all(['kex.js', 'constants.js', 'Protocol.js'].map((name) => readFile(join(lib, name), 'utf8'))), before);
});
