/** The rules of asciicast version 3 as docs.asciinema.org states them, strictly. */
import assert from 'node:assert/strict';

export type CastEvent = readonly [interval: number, code: string, data: string];

export interface ParsedCast {
  readonly header: { readonly version: number; readonly term: { readonly cols: number; readonly rows: number; readonly type?: string } } & Readonly<Record<string, unknown>>;
  readonly events: readonly CastEvent[];
}

const HEADER: Readonly<Record<string, (value: unknown) => boolean>> = {
  version: (value) => value === 3,
  term: (value) => typeof value === 'object' && value !== null,
  timestamp: (value) => Number.isSafeInteger(value),
  title: (value) => typeof value === 'string',
  command: (value) => typeof value === 'string',
};
const TERM: Readonly<Record<string, (value: unknown) => boolean>> = { cols: isSize, rows: isSize, type: (value) => typeof value === 'string' };
const DATA: Readonly<Record<string, RegExp>> = { o: /^[^]+$/, i: /^[^]+$/, m: /^[^]*$/, r: /^[1-9]\d{0,4}x[1-9]\d{0,4}$/, x: /^\d+$/ };

export function parseAsciicast(text: string): ParsedCast {
  const [first = '', ...rest] = text.split('\n');
  const header = JSON.parse(first) as ParsedCast['header'];
  assert.ok(header.version === 3 && isSize(header.term.cols) && isSize(header.term.rows), first);
  for (const [name, value] of Object.entries(header)) assert.ok(HEADER[name]?.(value), `header: ${name}`);
  for (const [name, value] of Object.entries(header.term)) assert.ok(TERM[name]?.(value), `term: ${name}`);
  const events = rest.filter((line) => line !== '').map((line) => {
    assert.ok(line.isWellFormed(), line);
    const event = JSON.parse(line) as CastEvent;
    assert.ok(Array.isArray(event) && event.length === 3, line);
    assert.ok(Number.isFinite(event[0]) && event[0] >= 0, line);
    assert.ok(typeof event[2] === 'string' && DATA[event[1]]?.test(event[2]), line);
    return event;
  });
  const exit = events.findIndex(([, code]) => code === 'x');
  assert.ok(exit === -1 || exit === events.length - 1, 'the exit is the last event');
  return { header, events };
}

function isSize(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65_535;
}
