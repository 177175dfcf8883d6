import { TerminalParser, type Csi } from './terminal-parser.ts';

/**
 * Takes out of a terminal's stream what a replay does not need and what would act on the terminal of whoever watches (D05). Only what draws
 * comes through: text, and sequences of a closed list. What does not: the clipboard, titles, links and every other OSC; device control and other
 * strings; questions, which the terminal answers as if its user had typed; window operations and printing; what changes how keys, mouse
 * and pastes are reported; leaving UTF-8, in which bytes of a letter would be controls. What is seen stays the same, but for pictures (sixel).
 */
export class ReplayFilter {
  readonly #parser: TerminalParser;
  #kept = '';

  constructor() {
    const keep = (text: string): void => void (this.#kept += text);
    this.#parser = new TerminalParser({
      text: keep,
      control: (code) => {
        if (CONTROLS.has(code)) keep(String.fromCharCode(code));
      },
      csi: (sequence, raw) => keep(harmlessSequence(sequence, raw)),
      escape: (intermediates, final) => {
        if (ESCAPES.test(`${intermediates}${final}`)) keep(`\u001b${intermediates}${final}`);
      },
      osc: () => {},
      string: () => {},
    });
  }

  push(text: string): string {
    this.#parser.push(text);
    const kept = this.#kept;
    this.#kept = '';
    return kept;
  }
}

/** Bell, backspace, tab, the line ends, the shifts between character sets. */
const CONTROLS = new Set([7, 8, 9, 10, 11, 12, 13, 14, 15]);
/** Cursor, tabs, index, reset; character sets; lines of double size. */
const ESCAPES = /^(?:[78DEHMcNOno|}~]|[()*+./-][0-~]|#[3-68])$/;
/** By prefix, intermediates and final. */
const DRAWING = new Set([...'ABCDEFGHIJKLMPSTXZ@`abdefgmrsu', '?J', '?K', ' q', '!p']);
/** Inserting and new lines; screens, origin, wrapping, margins, the cursor's look, drawing at once. */
const MODES: Readonly<Record<string, ReadonlySet<number>>> = {
  '': new Set([4, 20]),
  '?': new Set([5, 6, 7, 12, 25, 45, 47, 69, 1047, 1048, 1049, 2026]),
};
/** Beyond every screen; a character could be repeated a thousand million times. */
const LARGEST_NUMBER = 10_000;

function harmlessSequence({ prefix, numbers, intermediates, final }: Csi, raw: string): string {
  if (numbers.some((number) => number > LARGEST_NUMBER)) return '';
  if (intermediates !== '' || (final !== 'h' && final !== 'l')) return DRAWING.has(`${prefix}${intermediates}${final}`) ? raw : '';
  const kept = numbers.filter((mode) => MODES[prefix]?.has(mode));
  return kept.length === 0 ? '' : `\u001b[${prefix}${kept.join(';')}${final}`;
}
