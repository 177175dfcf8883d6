import { escape } from './escape.ts';
import type { Mark, Paint } from './paint.ts';
import { cut, pad, width } from './width.ts';

export interface Column<T> {
  readonly head: string;
  /** The text, or a mark with its tone. Escaped here: callers hand over what the server said. */
  cell(row: T): string | number | null | Mark;
  readonly align?: 'right';
  /** May be cut when the terminal is too narrow. */
  readonly flexible?: true;
}

const GAP = '  ';
const NARROWEST = 8;

/**
 * A table aligned to its content. With `columns` (a terminal) flexible columns give way; without (a pipe) nothing is cut.
 * Empty columns are left out.
 */
export function table<T>(rows: readonly T[], all: readonly Column<T>[], paint: Paint, columns?: number): string {
  const read = (column: Column<T>, row: T) => {
    const cell = column.cell(row);
    return typeof cell === 'object' && cell !== null ? { tone: cell.tone, text: escape(cell.text) } : { tone: 'plain' as const, text: escape(cell ?? '') };
  };
  const shown = all.filter((column) => rows.some((row) => read(column, row).text !== ''));
  const cells = rows.map((row) => shown.map((column) => read(column, row)));
  const widths = shown.map((column, i) => Math.max(width(column.head), ...cells.map((row) => width(row[i]?.text ?? ''))));
  if (columns !== undefined) shrink(widths, shown, columns - GAP.length * (shown.length - 1));
  const line = (texts: readonly string[], finish: (text: string, i: number) => string) =>
    texts
      .map((text, i) => finish(pad(cut(text, widths[i] ?? 0), i === texts.length - 1 && shown[i]?.align !== 'right' ? 0 : (widths[i] ?? 0), shown[i]?.align === 'right' ? 'left' : 'right'), i))
      .join(GAP);
  return [
    line(shown.map((column) => column.head), (text) => paint('dim', text)),
    ...cells.map((row) => line(row.map((cell) => cell.text), (text, i) => paint(row[i]?.tone ?? 'plain', text))),
  ].join('\n');
}

/** Takes columns from the widest flexible one, again and again, until the line fits or nothing gives any more. */
function shrink(widths: number[], shown: readonly Column<never>[], room: number): void {
  for (let over = widths.reduce((a, b) => a + b, 0) - room; over > 0; over--) {
    let widest = -1;
    for (const [i, column] of shown.entries()) {
      const size = widths[i] ?? 0;
      if (column.flexible && size > NARROWEST && size > (widths[widest] ?? 0)) widest = i;
    }
    if (widest === -1) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}
