import { describeText } from '#contract/free-text.ts';

const PLAIN = /^[\x20-\x7e]*$/;
const MARKUP: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' };

/**
 * A line of a recording as text that does nothing in a terminal (D05): whatever controls one, hides, or turns the direction of
 * reading stands as `\u{...}`.
 */
export function harmlessLine(text: string): string {
  if (PLAIN.test(text)) return text;
  return describeText(text).display.replaceAll('\n', '\\u{a}');
}

/** The same as a piece of HTML: markup in it is text. */
export function harmlessHtml(text: string): string {
  return harmlessLine(text).replaceAll(/[&<>"']/g, (sign) => MARKUP[sign] as string);
}
