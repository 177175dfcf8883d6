import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, find, importsOf, read, sources } from '#test/worlds/repository.ts';

const files = sources('src', 'test', 'bench', 'bin');
/** This file names what it forbids. */
const others = files.filter(({ path }) => path !== 'test/rules/style.test.ts');

function lines(of: readonly { readonly path: string; readonly text: string }[], pattern: RegExp): string[] {
  return of.flatMap(({ path, text }) => text.split('\n').flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1} ${line.trim().slice(0, 100)}`] : [])));
}

test('file names say what is in the file, in kebab-case', () => {
  const names = [...files.map(({ path }) => path), ...find('{src,test,bench,docs}/**/*.{sql,cedar,yaml,json,md}')];
  const odd = names.filter((path) => !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*(?:[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.\w+|README\.md)$/.test(path));
  assert.deepEqual(odd, []);
  assert.deepEqual(names.filter((path) => /(?:^|[/-])(?:utils?|helpers?|common|managers?|services?|misc|index)(?=[-./])/.test(path)), []);
});

test('exports are named, and a file exports what it made itself', () => {
  assert.deepEqual(lines(others, /^export default\b/), []);
  const barrels = others.filter(({ text }) => {
    const code = codeOf(text).split('\n').filter((line) => line.trim() !== '');
    return code.length > 0 && code.every((line) => /^(?:export .* from|import )/.test(line.trim()));
  });
  assert.deepEqual(barrels.map(({ path }) => path), []);
  assert.deepEqual(lines(others, /^export \* from\b/), []);
});

test('types are not loosened: no any, no non-null assertion, no ts-ignore', () => {
  const code = others.map(({ path, text }) => ({ path, text: codeOf(text) }));
  assert.deepEqual(lines(code, /(?:[:<,|&(]\s*|\bas )any\b(?!\()/), []);
  assert.deepEqual(lines(code, /[\w)\]]!(?:[.;,)\]]|$)/), []);
  assert.deepEqual(lines(others, /@ts-(?:ignore|expect-error|nocheck)/), []);
});

/** A test that finds itself where it can't run says so with `t.skip(why)`; the runner counts it. */
test('no test is left alone or left out', () => {
  assert.deepEqual(lines(others, /\b(?:test|it|describe|suite)\.(?:only|skip|todo)\(|\b(?:only|skip|todo): true\b/), []);
});

test('nothing is put off in a comment', () => {
  assert.deepEqual(lines(others, /\b(?:TODO|FIXME|XXX|HACK)\b/), []);
});

/** Whoever reads this elsewhere has none of these folders. Tests and tools ask the system for a temporary one. */
test('no path of somebody\'s machine stands in the repository', () => {
  const texts = [...find('{src,test,bench,bin,docs,.ci}/**/*.*'), ...find('*.{md,json}'), ...find('bin/brevet'), ...find('.ci/run')];
  const everything = [...new Set(texts)].filter((path) => path !== 'test/rules/style.test.ts').map((path) => ({ path, text: read(path) }));
  assert.ok(everything.length > 300);
  assert.deepEqual(lines(everything, /(?:^|[\s'"`=(:])\/(?:work|root|home\/[a-z]+)\/\w/), []);
  const code = everything.filter(({ path }) => /^(?:src|bin)\//.test(path) && !path.endsWith('.test.ts'));
  // What POSIX falls back on where TMPDIR is not set.
  assert.deepEqual(lines(code, /(?<!env\['TMPDIR'\] \|\| )['"`]\/tmp\b/), []);
});

test('what a test imports of the product it imports by #folder or from beside itself', () => {
  const wrong = files.filter(({ path }) => path.startsWith('test/')).flatMap(importsOf).filter(({ specifier }) => specifier.includes('../src/'));
  assert.deepEqual(wrong.map(({ from, specifier }) => `${from.path} imports ${specifier}`), []);
});
