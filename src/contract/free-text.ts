/**
 * Free text (reasons, titles, display names) may hold any character, and some of them mislead the person who reads it
 * to decide (attack A08). Whoever shows such text shows `display` and the flags: a reviewer then sees what is there, and
 * not what the text makes it look like.
 */
export const TEXT_FLAGS = [
  'non_ascii', // not bad in itself: most of the world writes so
  'control', // line breaks and other control characters
  'bidi', // turns the direction of reading: what stands first is not what is read first
  'invisible', // zero-width and other characters without a look
  'mixed_script', // one word with letters of scripts that look alike, such as Latin and Cyrillic
  'compatibility', // stands for other characters (NFKC), such as full-width letters
] as const;
export type TextFlag = (typeof TEXT_FLAGS)[number];

export interface TextDescription {
  /** The text with everything that can't be seen, or that moves what can, as `\u{...}`. Line breaks are kept. */
  readonly display: string;
  /** In the order of TEXT_FLAGS; empty for plain ASCII on one line. */
  readonly flags: readonly TextFlag[];
}

/** Unicode's Bidi_Control: embeddings, overrides, isolates and marks. */
const BIDI = /\p{Bidi_Control}/u;
/** What has no look of its own: format characters, fillers, variation selectors, unassigned and private ones, lone surrogates. */
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u2800\u3164\uffa0]|(?! )\p{Zs}/u;
const CONTROL = /\p{Cc}/u;
const ESCAPED = new RegExp(`${BIDI.source}|${INVISIBLE.source}|(?!\\n)${CONTROL.source}`, 'gu');

/** Scripts that may stand in one word together: UTS 39, "highly restrictive". Every other pair is a mixture. */
const TOGETHER: readonly (readonly string[])[] = [
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hangul'],
];
const SCRIPTS = [
  'Latin', 'Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Coptic', 'Georgian', 'Hebrew', 'Arabic', 'Devanagari', 'Thai', 'Han', 'Hiragana', 'Katakana',
  'Bopomofo', 'Hangul', 'Lisu', 'Deseret', 'Tifinagh',
].map((name) => ({ name, pattern: new RegExp(`\\p{Script=${name}}`, 'u') }));

export function describeText(text: string): TextDescription {
  const found: Record<TextFlag, boolean> = {
    non_ascii: /[^\0-\x7f]/.test(text),
    control: CONTROL.test(text),
    bidi: BIDI.test(text),
    invisible: [...text].some((character) => INVISIBLE.test(character) && !BIDI.test(character)),
    mixed_script: (text.match(/[\p{L}\p{M}]+/gu) ?? []).some(isMixed),
    compatibility: text.normalize('NFKC') !== text.normalize('NFC'),
  };
  const display = text.replace(ESCAPED, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
  return { display, flags: TEXT_FLAGS.filter((flag) => found[flag]) };
}

function isMixed(word: string): boolean {
  const scripts = SCRIPTS.filter(({ pattern }) => pattern.test(word)).map(({ name }) => name);
  return scripts.length > 1 && !TOGETHER.some((set) => scripts.every((script) => set.includes(script)));
}
