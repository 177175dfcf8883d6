import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sources, type SourceFile } from '#test/worlds/repository.ts';

/** Sizes at which a file is read in one sitting and a function without scrolling. Lines of text, comments included. */
const LONGEST_FILE = 400;
const USUAL_FILE = 250;
const LONGEST_FUNCTION = 60;

const files = sources('src', 'test', 'bench', 'bin');
const linesOf = ({ text }: SourceFile) => text.trimEnd().split('\n').length;

test(`no file is longer than ${LONGEST_FILE} lines, and nine in ten are below ${USUAL_FILE}`, () => {
  assert.deepEqual(files.filter((file) => linesOf(file) > LONGEST_FILE).map((file) => `${file.path}: ${linesOf(file)} lines`), []);
  const long = files.filter((file) => linesOf(file) >= USUAL_FILE);
  assert.ok(long.length <= files.length / 10, `${long.length} of ${files.length} files have ${USUAL_FILE} lines or more`);
});

/**
 * A function's first line ends in `{`, and its last is the first one after it with the same indentation that closes a
 * brace: true of everything that is indented as usual. A function made of a table or of further functions counts too.
 */
function functionsOf({ path, text }: SourceFile): readonly { readonly at: string; readonly lines: number }[] {
  const lines = text.split('\n');
  return lines.flatMap((line, start) => {
    const head = /^(\s*)(?:export )?(?:default )?(?:(?:async )?function\b|(?:async |static |get |set |readonly )*#?[\w]+\(.*\).*\{$|const \w+ = (?:async )?\(.*=> (?:\(?\{)$)/.exec(line);
    if (!head || /^\s*(?:if|for|while|switch|catch|test|it|describe|suite|before|after)\b/.test(line)) return [];
    const indent = head[1] ?? '';
    const end = lines.findIndex((other, at) => at > start && new RegExp(`^${indent}\\}[);,]*$`).test(other));
    return end === -1 ? [] : [{ at: `${path}:${start + 1}`, lines: end - start + 1 }];
  });
}

test(`no function of the product is longer than ${LONGEST_FUNCTION} lines`, () => {
  const found = files.filter((file) => !file.isTest && file.path.startsWith('src/')).flatMap(functionsOf);
  assert.ok(found.length > 800, `only ${found.length} functions found: look again at how they are found`);
  assert.deepEqual(found.filter(({ lines }) => lines > LONGEST_FUNCTION).map(({ at, lines }) => `${at}: ${lines} lines`), []);
});
