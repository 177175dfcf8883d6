import { TerminalParser, type Csi } from './terminal-parser.ts';

/**
 * Takes out of a terminal's stream what a replay does not need and what would act on the terminal of whoever watches (D05): the clipboard,
 * titles, links and every other OSC; device control and other strings; questions that the terminal answers, as if its user had typed; window
 * operations and printing; the reporting of mouse, focus and pastes. What is seen stays the same, but for pictures (sixel).
 */
export class ReplayFilter {
  readonly #parser: TerminalParser;
  #kept = '';

  constructor() {
    const keep = (text: string): void => void (this.#kept += text);
    this.#parser = new TerminalParser({
      text: keep,
      control: (code) => {
        if (code !== ENQUIRY && code < 0x7f) keep(String.fromCharCode(code));
      },
      csi: (sequence, raw) => keep(harmlessSequence(sequence, raw)),
      escape: (intermediates, final) => {
        if (final !== 'Z') keep(`\u001b${intermediates}${final}`);
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

const ENQUIRY = 0x05;
/** By prefix, intermediates and final. */
const ANSWERED = new Set(['c', '>c', '=c', 'n', '?n', 'x', '$p', '?$p', '>q', '?u', '*y', '?S', '$u', '&u', '\'|', '$w']);
/** Window operations, printing, and the answering of them set by hand. */
const ACTING = new Set(['t', '>t', 'i', '?i', '$t', '>T']);
const REPORTING = new Set([9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 2004, 2031, 2048]);
const LARGEST_NUMBER = 32_767;

function harmlessSequence({ prefix, numbers, intermediates, final }: Csi, raw: string): string {
  const name = `${prefix}${intermediates}${final}`;
  if (ANSWERED.has(name) || ACTING.has(name)) return '';
  // A repetition of a thousand million characters, say.
  if (numbers.some((number) => number > LARGEST_NUMBER)) return '';
  if (name !== '?h' && name !== '?l') return raw;
  const kept = numbers.filter((mode) => !REPORTING.has(mode));
  if (kept.length === numbers.length) return raw;
  return kept.length === 0 ? '' : `\u001b[?${kept.join(';')}${final}`;
}
