import { characterWidth } from './character-width.ts';
import { TerminalParser, type Csi } from './terminal-parser.ts';

export interface ScreenEvents {
  /** The cursor is about to leave a line that was written to, or what stands there is about to be overwritten or erased. */
  readonly line: ((text: string) => void) | null;
  /** A line feed, before it moves the cursor. */
  lineFeed(): void;
  /** The shell's own mark (OSC 133): a prompt, a command's beginning, its execution, its end. */
  shellMark(kind: string): void;
}

export const MOST_COLUMNS = 1000;
export const MOST_ROWS = 500;
/** Marks that combine with a character; more are dropped. */
const LONGEST_CELL = 16;
/** In rows: of one that goes on, the text is told piece by piece. */
const LONGEST_LINE = 20;
/** The second cell of a wide character. */
const BEHIND_WIDE = '';
const BLANK = ' ';

interface Row {
  /** Empty where nothing was written. */
  cells: string[];
  /** Its text goes on in the next row. */
  wraps: boolean;
}

/** A place that stays the same when the screen scrolls: rows are counted from the first of the session. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

/**
 * What a terminal shows: enough of one to know the text on it (printing, cursor, erasing, inserting, scrolling, the alternate screen),
 * and bounded. Colours, tabs set by hand and character sets are not followed.
 */
export class Screen {
  readonly #events: ScreenEvents;
  readonly #parser: TerminalParser;
  readonly #returns: boolean;
  readonly #decoder = new TextDecoder();
  #columns = 80;
  #height = 24;
  #rows: Row[] = [];
  /** The number of the first row of the screen. */
  #first = 0;
  #row = 0;
  #column = 0;
  #saved = { row: 0, column: 0 };
  #top = 0;
  #bottom = 23;
  /** The next character goes to the next row. */
  #full = false;
  /** Written to since its text was told. */
  #dirty = false;
  /** Within a stretch that overwrites, whose text before was told. */
  #overwriting = false;
  #main: Row[] | null = null;

  /** `returns`: a line feed goes to the first column too, as a terminal's driver has it; where none was, nobody did that. */
  constructor(events: ScreenEvents, returns = false) {
    this.#events = events;
    this.#returns = returns;
    this.#parser = new TerminalParser({
      text: (characters) => this.#text(characters),
      control: (code) => this.#control(code),
      csi: (sequence) => this.#csi(sequence),
      escape: (intermediates, final) => this.#escape(intermediates, final),
      osc: (text) => this.#osc(text),
      string: () => {},
    });
  }

  push(bytes: Uint8Array): void {
    this.#parser.push(this.#decoder.decode(bytes, { stream: true }));
  }

  resize(columns: number, rows: number): void {
    this.#columns = Math.min(Math.max(columns || 80, 1), MOST_COLUMNS);
    this.#height = Math.min(Math.max(rows || 24, 1), MOST_ROWS);
    [this.#top, this.#bottom] = [0, this.#height - 1];
    // Like xterm: what does not fit below is pushed out above.
    if (this.#row >= this.#height) this.#drop(this.#row - this.#height + 1);
    this.#rows.length = Math.min(this.#rows.length, this.#height);
    this.#column = Math.min(this.#column, this.#columns - 1);
    this.#full = false;
  }

  /** A program has the whole screen: an editor, a pager. */
  get alternate(): boolean {
    return this.#main !== null;
  }

  get cursor(): Place {
    return { row: this.#first + this.#row, column: this.#full ? this.#columns : this.#column };
  }

  /** Text from a place to the end of the line that the cursor is in, rows that wrap put together. */
  textFrom({ row, column }: Place): string {
    let text = '';
    for (let at = Math.max(row - this.#first, 0); at < this.#rows.length; at++) {
      const { cells, wraps } = this.#rows[at] as Row;
      text += cells.slice(at === row - this.#first ? column : 0).join('');
      if (wraps) continue;
      text = text.trimEnd();
      if (at >= this.#row) break;
      text += '\n';
    }
    return text.trimEnd();
  }

  /** Where the line begins that the cursor is in. */
  get lineStart(): Place {
    let row = this.#row;
    while (row > 0 && this.#rows[row - 1]?.wraps) row -= 1;
    return { row: this.#first + row, column: 0 };
  }

  /** Tells the line that was written to, if that was not told yet. */
  settle(): void {
    if (!this.#dirty || this.#events.line === null) return;
    this.#dirty = false;
    this.#events.line(this.textFrom(this.lineStart));
  }

  #text(characters: string): void {
    for (const character of characters) this.#print(character);
  }

  #print(character: string): void {
    const width = characterWidth(character);
    if (width === 0) return this.#combine(character);
    if (this.#full || this.#column + width > this.#columns) {
      // Of a line without an end, what is pushed out of the screen was told.
      if (this.#first + this.#row - this.lineStart.row >= LONGEST_LINE) this.settle();
      else this.#rowAt(this.#row).wraps = true;
      this.#column = 0;
      this.#down();
    }
    const { cells } = this.#rowAt(this.#row);
    while (cells.length < this.#column) cells.push(BLANK);
    const there = cells[this.#column] ?? BLANK;
    if (there !== BLANK && there !== character && !this.#overwriting) {
      this.settle();
      this.#overwriting = true;
    }
    cells[this.#column] = character;
    if (width === 2) cells[this.#column + 1] = BEHIND_WIDE;
    this.#dirty = true;
    this.#column += width;
    this.#full = this.#column >= this.#columns;
    if (this.#full) this.#column = this.#columns - 1;
  }

  #combine(mark: string): void {
    const { cells } = this.#rowAt(this.#row);
    const at = (this.#full ? this.#columns : this.#column) - 1;
    const cell = cells[at];
    if (cell !== undefined && cell.length + mark.length <= LONGEST_CELL) cells[at] = cell + mark;
  }

  #control(code: number): void {
    if (code === 0x0a || code === 0x0b || code === 0x0c || code === 0x84) {
      this.#events.lineFeed();
      this.settle();
      if (this.#returns) this.#column = 0;
      this.#down();
    } else if (code === 0x0d) this.#move(this.#row, 0);
    else if (code === 0x08) this.#move(this.#row, this.#column - (this.#full ? 0 : 1));
    else if (code === 0x09) this.#move(this.#row, (Math.floor(this.#column / 8) + 1) * 8);
    else if (code === 0x85) {
      this.#control(0x0a);
      this.#control(0x0d);
    } else if (code === 0x8d) this.#up();
  }

  #escape(intermediates: string, final: string): void {
    if (intermediates !== '') return;
    if (final === 'D') this.#control(0x0a);
    else if (final === 'E') this.#control(0x85);
    else if (final === 'M') this.#up();
    else if (final === '7') this.#saved = { row: this.#row, column: this.#column };
    else if (final === '8') this.#move(this.#saved.row, this.#saved.column);
    else if (final === 'c') {
      this.#erase(0, this.#height);
      this.#move(0, 0);
    }
  }

  #osc(text: string): void {
    const mark = /^133;([A-Z])/.exec(text)?.[1];
    if (mark !== undefined) this.#events.shellMark(mark);
  }

  #csi({ prefix, numbers, intermediates, final }: Csi): void {
    if (intermediates !== '') return;
    if (prefix === '?') {
      if ((final === 'h' || final === 'l') && numbers.some((mode) => mode === 47 || mode === 1047 || mode === 1049)) this.#switch(final === 'h');
      return;
    }
    if (prefix !== '') return;
    const [first = 0, second = 0] = numbers;
    const count = Math.min(Math.max(first, 1), MOST_COLUMNS);
    const move = MOVES[final]?.(this.#row, this.#column, count, second);
    if (move) this.#move(move[0], move[1]);
    else this.#edit(final, first, second, count);
  }

  #edit(final: string, first: number, second: number, count: number): void {
    const { cells } = this.#rowAt(this.#row);
    if ('JKPX@LM'.includes(final)) this.settle();
    if (final === 'K' && first !== 1) this.#rowAt(this.#row).wraps = false;
    if (final === 'K') eraseIn(cells, first === 0 ? this.#column : 0, first === 1 ? this.#column + 1 : cells.length);
    else if (final === 'J') this.#eraseDisplay(first);
    else if (final === 'X') eraseIn(cells, this.#column, Math.min(this.#column + count, cells.length));
    else if (final === 'P') cells.splice(this.#column, count);
    else if (final === '@') {
      if (this.#column < cells.length) cells.splice(this.#column, 0, ...Array.from({ length: count }, () => BLANK));
      cells.length = Math.min(cells.length, this.#columns);
    } else if (final === 'L') this.#scroll(this.#row, -count);
    else if (final === 'M') this.#scroll(this.#row, count);
    else if (final === 'S') this.#scroll(this.#top, count);
    else if (final === 'T') this.#scroll(this.#top, -count);
    else if (final === 'r') this.#region(first, second);
  }

  #region(first: number, second: number): void {
    const top = Math.max(first, 1) - 1;
    const bottom = Math.min(second === 0 ? this.#height : second, this.#height) - 1;
    if (top >= bottom) return;
    [this.#top, this.#bottom] = [top, bottom];
    this.#move(0, 0);
  }

  #eraseDisplay(which: number): void {
    const { cells } = this.#rowAt(this.#row);
    if (which === 0) {
      eraseIn(cells, this.#column, cells.length);
      this.#erase(this.#row + 1, this.#height);
    } else if (which === 1) {
      eraseIn(cells, 0, this.#column + 1);
      this.#erase(0, this.#row);
    } else if (which === 2) this.#erase(0, this.#height);
  }

  #erase(from: number, to: number): void {
    for (let at = from; at < Math.min(to, this.#rows.length); at++) this.#rows[at] = { cells: [], wraps: false };
  }

  #switch(alternate: boolean): void {
    if (alternate === this.alternate) return;
    this.settle();
    if (alternate) {
      this.#main = this.#rows;
      this.#rows = [];
      this.#saved = { row: this.#row, column: this.#column };
      return;
    }
    this.#rows = this.#main ?? [];
    this.#main = null;
    this.#move(this.#saved.row, this.#saved.column);
  }

  #move(row: number, column: number): void {
    const to = Math.min(Math.max(row, 0), this.#height - 1);
    if (to !== this.#row) this.settle();
    this.#row = to;
    this.#column = Math.min(Math.max(column, 0), this.#columns - 1);
    this.#full = false;
    this.#overwriting = false;
  }

  #down(): void {
    if (this.#row === this.#bottom) this.#scroll(this.#top, 1);
    else this.#row = Math.min(this.#row + 1, this.#height - 1);
    this.#full = false;
    this.#overwriting = false;
  }

  #up(): void {
    const scrolls = this.#row === this.#top;
    this.settle();
    if (scrolls) this.#scroll(this.#top, -1);
    this.#move(this.#row - (scrolls ? 0 : 1), this.#column);
  }

  /** Moves rows from `top` to the end of the region up, or down. */
  #scroll(top: number, by: number): void {
    const bottom = Math.max(this.#bottom, top);
    const count = Math.min(Math.abs(by), bottom - top + 1);
    if (by > 0 && top === 0 && !this.alternate) this.#first += count;
    // Nothing is left, and nothing has to be moved for it.
    if (this.#rows.length <= top) return;
    if (count > bottom - top && bottom >= this.#rows.length - 1) {
      this.#rows.length = top;
      return;
    }
    for (let at = this.#rows.length; at <= bottom; at++) this.#rowAt(at);
    const blank = Array.from({ length: count }, (): Row => ({ cells: [], wraps: false }));
    if (by > 0) {
      this.#rows.splice(top, count);
      this.#rows.splice(bottom - count + 1, 0, ...blank);
    } else {
      this.#rows.splice(bottom - count + 1, count);
      this.#rows.splice(top, 0, ...blank);
    }
  }

  #drop(count: number): void {
    this.settle();
    this.#rows.splice(0, count);
    this.#first += count;
    this.#row -= count;
  }

  #rowAt(at: number): Row {
    while (this.#rows.length <= at) this.#rows.push({ cells: [], wraps: false });
    return this.#rows[at] as Row;
  }
}

/** Where sequences move the cursor that do nothing else. */
const MOVES: Readonly<Record<string, (row: number, column: number, count: number, second: number) => readonly [number, number]>> = {
  A: (row, column, count) => [row - count, column],
  B: (row, column, count) => [row + count, column],
  C: (row, column, count) => [row, column + count],
  D: (row, column, count) => [row, column - count],
  E: (row, _, count) => [row + count, 0],
  F: (row, _, count) => [row - count, 0],
  G: (row, _, count) => [row, count - 1],
  '`': (row, _, count) => [row, count - 1],
  d: (_, column, count) => [count - 1, column],
  H: (_row, _column, count, second) => [count - 1, Math.max(second, 1) - 1],
  f: (_row, _column, count, second) => [count - 1, Math.max(second, 1) - 1],
};

function eraseIn(cells: string[], from: number, to: number): void {
  if (to >= cells.length) cells.length = Math.min(cells.length, from);
  else cells.fill(BLANK, from, to);
}
