import { escape } from './escape.ts';
import type { Mark, Paint } from './paint.ts';
import { pad, width, wrap } from './width.ts';

/** A label and what stands behind it; several texts take a line each, null leaves the row out. */
export type Fact = readonly [label: string, value: string | number | Mark | readonly string[] | null];

const DEFAULT_COLUMNS = 100;

/** Labelled lines, wrapped to the terminal, the labels dim. Values are escaped here. */
export function facts(rows: readonly Fact[], paint: Paint, columns = DEFAULT_COLUMNS): string {
  const shown = rows.filter(([, value]) => value !== null && value !== '' && !(Array.isArray(value) && value.length === 0));
  const labels = Math.max(0, ...shown.map(([label]) => width(label)));
  const room = Math.max(20, columns - labels - 4);
  const lines = shown.flatMap(([label, value]) => {
    const mark = typeof value === 'object' && value !== null && 'tone' in value ? value : null;
    const texts = mark ? [mark.text] : ((Array.isArray(value) ? value : [value]) as readonly unknown[]);
    const wrapped = texts.flatMap((text) => wrap(escape(text), room));
    return wrapped.map((text, i) => `  ${paint('dim', pad(i === 0 ? label : '', labels))}  ${mark ? paint(mark.tone, text) : text}`);
  });
  return lines.join('\n');
}
