import type { z } from 'zod';
import { explainIssue } from '#domain/explain-issue.ts';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from './plain-text.ts';

/** The first fault that was found in `input`, as a `Refusal` with a JSON pointer (RFC 6901) to the place. */
export function refuseIssue(schema: z.ZodType, error: z.ZodError, input: unknown, what: string): Refusal {
  const issue = error.issues[0] as z.core.$ZodIssue;
  const { path, words } = explainIssue(schema, issue, input);
  const field = path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return new Refusal('invalid_input', plainText(`${what}${field && ` at ${field}`} ${words}`), { field: plainText(field) });
}
