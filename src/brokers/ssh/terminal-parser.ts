/**
 * Takes a terminal's stream apart: text, control characters, sequences (ECMA-48, as xterm reads them). Bounded whatever comes:
 * a sequence that does not end is dropped, a string that does not end is read as text from some length on, so that nobody hides the rest of a
 * session behind the beginning of one.
 */
export interface TerminalEvents {
  /** Characters to be shown, one or many. */
  text(characters: string): void;
  /** C0 and C1 controls, but for those that begin sequences. */
  control(code: number): void;
  /** `raw` is the whole sequence. */
  csi(sequence: Csi, raw: string): void;
  /** ESC with a final character that begins nothing else. */
  escape(intermediates: string, final: string): void;
  /** Operating system command: titles, links, the clipboard, marks of the shell. Its first characters. */
  osc(text: string): void;
  /** DCS, SOS, PM, APC: has ended. */
  string(): void;
}

export interface Csi {
  /** `?`, `>`, `=`, `<` or nothing. */
  readonly prefix: string;
  readonly numbers: readonly number[];
  readonly intermediates: string;
  readonly final: string;
}

const LONGEST_CSI = 128;
const KEPT_OF_A_STRING = 4096;
const LONGEST_STRING = 64 * 1024;

const PLAIN = /\P{Cc}+/uy;
const C0_OR_C1 = /\p{Cc}/u;

type State = 'ground' | 'escape' | 'csi' | 'osc' | 'string';
/** C1 controls that begin something, as ESC and the letter mean it. */
const C1: Readonly<Record<number, string>> = { 0x90: 'P', 0x98: 'X', 0x9b: '[', 0x9d: ']', 0x9e: '^', 0x9f: '_' };
const STRINGS: Readonly<Record<string, State>> = { P: 'string', X: 'string', '^': 'string', _: 'string', ']': 'osc', '[': 'csi' };

export class TerminalParser {
  readonly #events: TerminalEvents;
  #state: State = 'ground';
  /** Of the sequence or string that has not ended. */
  #kept = '';
  #length = 0;
  /** ESC has come inside a string: with a backslash it ends. */
  #leaving = false;

  constructor(events: TerminalEvents) {
    this.#events = events;
  }

  push(text: string): void {
    for (let at = 0; at < text.length; ) {
      if (this.#state === 'ground') at = this.#ground(text, at);
      else if (this.#state === 'osc' || this.#state === 'string') at = this.#inString(text, at);
      else this.#sequence(text.charAt(at++));
    }
  }

  #ground(text: string, at: number): number {
    PLAIN.lastIndex = at;
    const plain = PLAIN.exec(text)?.[0];
    if (plain !== undefined) {
      this.#events.text(plain);
      return at + plain.length;
    }
    this.#control(text.charCodeAt(at));
    return at + 1;
  }

  #control(code: number): void {
    const letter = C1[code];
    if (code === 0x1b) this.#enter('escape');
    else if (letter !== undefined) this.#enter(STRINGS[letter] as State);
    else this.#events.control(code);
  }

  #enter(state: State): void {
    this.#state = state;
    this.#kept = '';
    this.#length = 0;
    this.#leaving = false;
  }

  /** One character of an escape or control sequence. */
  #sequence(sign: string): void {
    if (sign === '\u0018' || sign === '\u001a') return this.#enter('ground');
    if (C0_OR_C1.test(sign)) {
      // Controls inside a sequence are obeyed as if they stood before it; ESC and C1 begin anew.
      if (sign === '\u001b' || C1[sign.charCodeAt(0)] !== undefined) return this.#control(sign.charCodeAt(0));
      return this.#events.control(sign.charCodeAt(0));
    }
    if (this.#kept.length >= LONGEST_CSI || sign > '~') return this.#enter('ground');
    if (this.#state === 'csi') return this.#csi(sign);
    if (sign < '0') {
      this.#kept += sign;
      return;
    }
    const next = this.#kept === '' ? STRINGS[sign] : undefined;
    if (next !== undefined) return this.#enter(next);
    const intermediates = this.#kept;
    this.#enter('ground');
    this.#events.escape(intermediates, sign);
  }

  #csi(sign: string): void {
    if (sign < '@') {
      this.#kept += sign;
      return;
    }
    const kept = this.#kept;
    this.#enter('ground');
    const parts = /^([<-?]?)([0-9:;]*)([ -/]*)$/.exec(kept);
    if (!parts) return;
    const [, prefix = '', numbers = '', intermediates = ''] = parts;
    const values = numbers === '' ? [] : numbers.split(';').map((each) => Number.parseInt(each, 10) || 0);
    this.#events.csi({ prefix, numbers: values, intermediates, final: sign }, `\u001b[${kept}${sign}`);
  }

  #inString(text: string, at: number): number {
    if (this.#leaving) {
      // ESC ends a string with or without its backslash; what else follows is a sequence of its own.
      const whole = text.charAt(at) === '\\';
      this.#leave();
      if (whole) return at + 1;
      this.#enter('escape');
      return at;
    }
    PLAIN.lastIndex = at;
    const part = PLAIN.exec(text)?.[0];
    if (part !== undefined) {
      if (this.#kept.length < KEPT_OF_A_STRING) this.#kept += part.slice(0, KEPT_OF_A_STRING - this.#kept.length);
      this.#length += part.length;
      if (this.#length > LONGEST_STRING) this.#leave();
      return at + part.length;
    }
    const sign = text.charAt(at);
    if (sign === '\u001b') this.#leaving = true;
    else if (sign === '\u0018' || sign === '\u001a') this.#enter('ground');
    else if (sign === '\u009c' || (sign === '\u0007' && this.#state === 'osc')) this.#leave();
    return at + 1;
  }

  #leave(): void {
    const [state, kept] = [this.#state, this.#kept];
    this.#enter('ground');
    if (state === 'osc') this.#events.osc(kept);
    else this.#events.string();
  }
}
