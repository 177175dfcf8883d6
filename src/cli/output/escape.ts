/**
 * Text from outside, made safe to print: whoever wrote a reason or a statement must not move the cursor, set the
 * clipboard, hide characters or turn the reading direction of what a reviewer decides on.
 */

// Control and format characters (escape sequences, bidi overrides, zero-width, tags), line separators, lone surrogates,
// private use, unassigned: nothing of it has a glyph that a reader could trust. Fillers and variation selectors are ignored when drawn, and the
// braille blank is a symbol that looks like nothing.
const MISLEADING = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u001b': '\\e' };

/** Shows every character that could mislead as an escape. Text written from right to left is kept in its own place. */
export function escape(text: unknown): string {
  const shown = String(text).replace(MISLEADING, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return NAMED[char] ?? (code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`);
  });
  return RIGHT_TO_LEFT.test(shown) ? `\u2068${shown}\u2069` : shown;
}

/** Whether `escape` would change it: worth a warning where somebody decides by what they read. */
export function misleads(text: string): boolean {
  return text.search(MISLEADING) !== -1;
}

/** JSON for a terminal or a pipe: the same value, with the characters that JSON may leave raw escaped as well. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(MISLEADING, (char) =>
    char === '\n' ? char : char.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}
