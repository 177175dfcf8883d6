import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { test } from 'node:test';
import type { App } from '#app/app.ts';
import { readFiles } from '#app/configuration/read-files.ts';
import { resolve } from '#app/configuration/resolve.ts';
import { linuxConnector } from '#connectors/linux/connector.ts';
import { postgresConnector } from '#connectors/postgres/connector.ts';
import { PROBLEM_CODES } from '#contract/problem.ts';
import { REFUSAL_CODES } from '#domain/refusal.ts';
import { createPolicyEngine } from '#policy/cedar-engine.ts';
import { runPolicyTests } from '#policy/test-cases.ts';
import { validatePolicies } from '#policy/validate.ts';
import { codeOf, find, read, sources } from '#test/worlds/repository.ts';
import { ATTACK_ID, ATTACKS } from './attacks.ts';
import { attackTests, BLOCKS } from './generated-blocks.ts';

const documents = [...find('*.md'), ...find('{docs,test}/**/*.md')];
const BLOCK = /<!-- made: ([\w ]+) -->\n([\s\S]*?)<!-- end: \1 -->/g;

test('what the documents show of the code is what the code says (UPDATE_DOCS=1 writes it)', () => {
  const shown = new Set<string>();
  for (const path of documents) {
    const text = read(path);
    const made = text.replaceAll(BLOCK, (_, name: string) => {
      shown.add(name);
      const make = BLOCKS[name];
      assert.ok(make, `${path} shows "${name}", which nothing makes`);
      return `<!-- made: ${name} -->\n${make()}\n<!-- end: ${name} -->`;
    });
    if (process.env['UPDATE_DOCS']) writeFileSync(new URL(`../../${path}`, import.meta.url), made);
    else assert.equal(text, made, `${path} is out of date: UPDATE_DOCS=1 node --test test/rules/documents.test.ts`);
  }
  assert.deepEqual(Object.keys(BLOCKS).filter((name) => !shown.has(name)), []);
});

test('links lead to files and headings that are there', () => {
  const broken = documents.flatMap((path) =>
    [...withoutCode(read(path)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^(?:https?|mailto):/.test(link)) return [];
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      if (!existsSync(new URL(`../../${target}`, import.meta.url))) return [`${path}: ${link}`];
      const heading = anchor === undefined || statSync(new URL(`../../${target}`, import.meta.url)).isDirectory() || headingsOf(read(target)).includes(anchor);
      return heading ? [] : [`${path}: ${link}`];
    }),
  );
  assert.deepEqual(broken, []);
});

test('files of the repository that the documents name are there', () => {
  const wrong = documents.flatMap((path) =>
    [...read(path).matchAll(/`((?:src|test|bench|docs|bin|\.ci)\/[\w./-]+)`/g)]
      .filter(([, named = '']) => !named.includes('NNNN') && !existsSync(new URL(`../../${named}`, import.meta.url)))
      .map(([, named]) => `${path}: ${named}`),
  );
  assert.deepEqual(wrong, []);
});

test('attacks that tests name are described', () => {
  const named = new Set(attackTests().flatMap(({ ids }) => ids));
  const mentioned = sources('src', 'test').filter(({ isTest }) => isTest).flatMap(({ text }) => codeOf(text).match(ATTACK_ID) ?? []);
  assert.deepEqual([...named, ...mentioned].filter((id) => !Object.hasOwn(ATTACKS, id)), []);
  assert.ok(named.size > 40);
});

/** What keys, locks and programs are called: they begin like a command. */
const LABELS = /\bbrevet (?:account|acl|personal part|root key|sealed|one-time|made-up|browser session|supervisor|owner)\b/g;

test('commands that the product and the documents tell people to run exist', () => {
  // `## brevet show`, and below it how it is called: `brevet show <id>`. (A sentence says: brevet entitlements lists ...)
  const calls = [...read('docs/cli.md').matchAll(/^## brevet ([\w -]+)\n\n`brevet [\w -]+( [[<].*)?`$/gm)];
  const operands = new Map(calls.map(([, path = '', takes]) => [path, takes !== undefined]));
  const exists = (first: string, second: string) => operands.has(`${first} ${second}`) || (operands.has(first) && (['', 'lists'].includes(second) || operands.get(first) === true));
  const texts = [
    ...sources('src').filter(({ isTest }) => !isTest).map(({ path, text }) => ({ path, text: stringsOf(text).replaceAll(LABELS, '') })),
    ...documents.map((path) => ({ path, text: codeSpans(read(path)) })),
  ];
  const wrong = texts.flatMap(({ path, text }) =>
    [...text.matchAll(/(?<![\w./-])(?:bin\/)?brevet ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?=[\s`'"|).,:;]|$)/gm)].flatMap(([, first = '', second = '']) => (exists(first, second) ? [] : [`${path}: brevet ${first} ${second}`])),
  );
  assert.deepEqual([...new Set(wrong)], []);
});

test('YAML and policies in the documents are right: every file is accepted, every case of a test passes', () => {
  const options = { installation: 'test', random: () => new Uint8Array(32), now: () => new Date(0) };
  const connectors = [postgresConnector(options), linuxConnector(options)];
  const app = { connectors: new Map(connectors.map((connector) => [connector.type, connector])) } as unknown as App;
  let [configurations, cases] = [0, 0];
  for (const path of documents) {
    const fences = [...read(path).matchAll(/```(\w*)\n([\s\S]*?)```/g)].map(([, language, text = '']) => ({ language, text }));
    const policies = fences.filter(({ text }) => text.startsWith('@id(')).map(({ text }, at) => ({ file: `${path}-${at}.cedar`, text }));
    assert.deepEqual(validatePolicies(policies).filter(({ severity }) => severity === 'error'), [], path);
    for (const { text } of fences.filter(({ language }) => language === 'yaml')) {
      if (/^cases:/m.test(text)) {
        const { passed, failed, cases: judged } = runPolicyTests(createPolicyEngine(), { version: 1, sources: policies }, [{ file: path, text }]);
        assert.equal(failed, 0, JSON.stringify(judged.filter((one) => !one.passed)));
        cases += passed;
      } else if (/^(?:people|targets|entitlements):/m.test(text)) {
        const { desired, findings } = readFiles([{ path: `${path}.yaml`, text: text.replaceAll(/^ *ca: \|\n(?: {8}.*\n)+/gm, '') }]);
        assert.deepEqual([...findings, ...resolve(app, desired, new Set()).findings], [], path);
        configurations += 1;
      }
    }
  }
  assert.ok(configurations >= 2 && cases >= 2);
});

test('the codes on the wire are those of the domain', () => {
  assert.deepEqual(PROBLEM_CODES, REFUSAL_CODES);
});

function withoutCode(text: string): string {
  return text.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '');
}

function codeSpans(text: string): string {
  return (text.match(/```[\s\S]*?```|`[^`\n]*`/g) ?? []).join('\n');
}

/** What a file says to people: its strings, without its comments. */
function stringsOf(text: string): string {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/[^\n]*/g, '');
  return (code.match(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g) ?? []).map((quoted) => quoted.slice(1, -1)).join('\n');
}

/** Anchors as GitHub makes them. */
function headingsOf(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').trim().replaceAll(' ', '-'));
}
