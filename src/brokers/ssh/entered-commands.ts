import type { SshEvent } from './recording.ts';
import { Screen, type Place } from './screen.ts';

/** What was entered in a terminal, as far as the screen showed it. */
export interface EnteredCommand {
  /** When Enter was pressed, in milliseconds since the session began. */
  readonly at: number;
  readonly command: string;
  /** With the prompt. */
  readonly line: string;
}

/** The echo of Enter comes within this, or the program that reads has other uses for the key. */
const ECHO_MS = 5_000;
const MOST_WAITING = 1_000;
const LONGEST = 4096;
/** What prompts end with; used where nothing better tells where typing began. */
const PROMPT = /^.{0,120}?[$#%>❯➜»] +/u;

/**
 * Finds the commands of one terminal: the line that stood on the screen when Enter was pressed, from where typing began. A shell that marks
 * its prompts (OSC 133) tells that place itself. It is an index to a recording, not evidence: what is typed without an echo, or in an editor,
 * is not in it.
 */
export class EnteredCommands {
  readonly #screen: Screen;
  #found: EnteredCommand[] = [];
  #now = 0;
  #begun: Place | null = null;
  #marked = false;
  #waiting = 0;
  #enteredAt = 0;

  constructor() {
    this.#screen = new Screen({
      line: null,
      lineFeed: () => this.#lineFeed(),
      shellMark: (kind) => this.#mark(kind),
    });
  }

  /** Takes the next event of the channel; answers commands that it completed. */
  push(event: SshEvent): readonly EnteredCommand[] {
    this.#now = event.at;
    if (event.type === 'opened') {
      const { cols, rows } = sizeOf(event.detail);
      this.#screen.resize(cols, rows);
    } else if (event.type === 'resize') this.#screen.resize(event.cols, event.rows);
    else if (event.type === 'output') this.#screen.push(event.bytes);
    else if (event.type === 'typed') this.#typed(event.enters);
    const found = this.#found;
    this.#found = [];
    return found;
  }

  #typed(enters: number): void {
    // What is entered in an editor or a pager is no command of the shell.
    if (this.#screen.alternate) return;
    if (enters === 0) {
      if (!this.#marked) this.#begun = this.#screen.cursor;
      return;
    }
    this.#waiting = Math.min(this.#waiting + enters, MOST_WAITING);
    this.#enteredAt = this.#now;
  }

  #mark(kind: string): void {
    if (kind === 'B') {
      this.#begun = this.#screen.cursor;
      this.#marked = true;
    } else if (kind === 'C' && this.#marked) this.#found.push(...this.#command(this.#now));
  }

  #lineFeed(): void {
    if (this.#waiting === 0 || this.#screen.alternate) return;
    if (this.#now - this.#enteredAt > ECHO_MS) this.#waiting = 0;
    else {
      this.#waiting -= 1;
      this.#found.push(...this.#command(this.#enteredAt));
    }
  }

  #command(at: number): readonly EnteredCommand[] {
    const line = this.#screen.textFrom(this.#screen.lineStart);
    const typed = this.#begun === null ? line : this.#screen.textFrom(this.#begun);
    // Typed ahead, or entered together with the line before: the prompt came later.
    const ahead = this.#begun === null || (this.#begun.column === 0 && !this.#marked);
    const command = (ahead ? typed.replace(PROMPT, '') : typed).trim().slice(0, LONGEST);
    this.#begun = null;
    this.#marked = false;
    return command === '' ? [] : [{ at, command, line: line.slice(0, LONGEST) }];
  }
}

/** The size of a terminal when it was opened; nothing that is no number. */
export function sizeOf(detail: Readonly<Record<string, unknown>>): { readonly cols: number; readonly rows: number; readonly term: string | null } {
  const pty = (detail['pty'] ?? {}) as { cols?: unknown; rows?: unknown; term?: unknown };
  return { cols: Number(pty.cols) || 0, rows: Number(pty.rows) || 0, term: typeof pty.term === 'string' ? pty.term : null };
}
