/** What a target says is shown to people: at most this many characters of it. */
const LONGEST = 500;

/**
 * Text from a target made harmless: control characters (so that no terminal obeys it), bidi and zero-width characters
 * and line breaks become `\u{..}`, `secrets` become `***`, and the rest is cut off.
 */
export function plainText(text: unknown, secrets: readonly (string | null)[] = []): string {
  let plain = String(text).slice(0, 4 * LONGEST);
  for (const secret of secrets) if (secret !== null && secret.length >= 4) plain = plain.replaceAll(secret, '***');
  plain = plain.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST - 1)}…` : plain;
}
