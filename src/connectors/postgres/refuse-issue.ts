import type { z } from 'zod';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from './plain-text.ts';

/** The first fault that zod found, as a `Refusal` with a JSON pointer (RFC 6901) to the place. */
export function refuseIssue(error: z.ZodError, what: string): Refusal {
  const issue = error.issues[0];
  const path = [...(issue?.path ?? [])];
  if (issue?.code === 'unrecognized_keys') path.push(issue.keys[0] ?? '');
  const field = path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  const said = issue?.code === 'unrecognized_keys' ? 'there is no such field' : (issue?.message ?? 'is wrong');
  return new Refusal('invalid_input', plainText(`${what}${field && ` at ${field}`}: ${said}`), { field: plainText(field) });
}
