import { Buffer } from 'node:buffer';
import type { Place } from './findings.ts';

/** One policy's text, from its first annotation to its semicolon, with its place in the file. */
export interface Statement {
  readonly text: string;
  readonly place: Place;
  /** How deep brackets nest. */
  readonly depth: number;
  /** How many operators, member accesses and keywords it has. */
  readonly operators: number;
}

/**
 * Bounds on policy text, measured with Cedar 4.13: 150 nested brackets overflow its parser's stack in WebAssembly, and a chain of
 * 500 operators parses, publishes, and then overflows in the middle of a decision. A bound well below both.
 */
export const LIMITS = { setBytes: 1_048_576, statementBytes: 32_768, statements: 2_000, depth: 20, operators: 250 } as const;

const KEYWORDS = new Set(['if', 'has', 'like', 'in', 'is', 'when', 'unless']);
const OPERATORS = new Set('.+-*<>=!&|(');
const WORD = /[A-Za-z0-9_]/;

/**
 * Splits a file into policies. In Cedar a semicolon outside strings and comments ends a policy and occurs nowhere else. What
 * follows the last one is returned as well unless it is only space and comments, for the parser to complain about.
 */
export function splitStatements(file: string, text: string): Statement[] {
  const found: Statement[] = [];
  let line = 1;
  let column = 1;
  // One more than allowed is enough to see that there are too many.
  for (let at = 0, counted = 0; at < text.length && found.length <= LIMITS.statements; ) {
    const begin = skipBlank(text, at);
    if (begin === text.length) break;
    for (; counted < begin; counted++) {
      if (text[counted] === '\n') [line, column] = [line + 1, 1];
      else if (!isLowSurrogate(text.charCodeAt(counted))) column += 1;
    }
    const { end, depth, operators } = scanStatement(text, begin);
    found.push({ text: text.slice(begin, end), place: { file, line, column }, depth, operators });
    at = end;
  }
  return found;
}

function scanStatement(text: string, begin: number): { end: number; depth: number; operators: number } {
  let at = begin;
  let open = 0;
  let depth = 0;
  let operators = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '"') at = skipString(text, at);
    else if (char === '/' && text[at + 1] === '/') at = skipComment(text, at);
    else if (WORD.test(char)) {
      const from = at;
      while (at < text.length && WORD.test(text.charAt(at))) at += 1;
      if (KEYWORDS.has(text.slice(from, at))) operators += 1;
    } else {
      at += 1;
      if (char === ';') break;
      if (char === '(' || char === '[' || char === '{') depth = Math.max(depth, ++open);
      else if (char === ')' || char === ']' || char === '}') open -= 1;
      // `&&`, `||`, `==` and their like count once.
      if (OPERATORS.has(char) && !(char === text[at - 2] && char !== '(')) operators += 1;
    }
  }
  return { end: at, depth, operators };
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    if (text[at] === '/' && text[at + 1] === '/') at = skipComment(text, at);
    else if (text.charAt(at).trim() === '') at += 1;
    else break;
  }
  return at;
}

function skipString(text: string, quote: number): number {
  let at = quote + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return Math.min(at + 1, text.length);
}

/** A comment ends at a line feed and at a carriage return alike: Cedar reads what follows either. */
function skipComment(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at += 1;
  return at;
}

export function placeAt(file: string, text: string, index: number): Place {
  const lines = text.slice(0, index).split('\n');
  return { file, line: lines.length, column: characters(lines.at(-1) ?? '') + 1 };
}

function characters(text: string): number {
  return Array.from(text).length;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** Where in the file a byte offset of a statement is: Cedar counts UTF-8 bytes from the start of what it was given. */
export function placeOfByte(statement: Statement, offset: number): Place {
  const before = Buffer.from(statement.text, 'utf8').subarray(0, offset).toString('utf8');
  const { file, line, column } = placeAt(statement.place.file, before, before.length);
  const { place } = statement;
  return line === 1 ? { file, line: place.line, column: place.column + column - 1 } : { file, line: place.line + line - 1, column };
}
