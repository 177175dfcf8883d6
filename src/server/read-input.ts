import type { Route } from '#contract/routes.ts';
import { explainIssue } from '#domain/explain-issue.ts';
import { Refusal } from '#domain/refusal.ts';

const WHOLE = { params: 'the address', query: 'the query', body: 'the body' } as const;
/** What somebody took for a name of theirs may be long; the answer is for people. */
const LONGEST = 500;

/**
 * What was sent as the route's schema reads it. Of a body no value is told back: it may be a password.
 * @throws Refusal `invalid_input` that points at the first wrong field
 */
export function readInput(schema: Route['body'], value: unknown, of: keyof typeof WHOLE): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (!issue) throw new Refusal('invalid_input', `${WHOLE[of]} is wrong`, { field: '/' });
  const { path, words } = explainIssue(schema, issue, value, () => of === 'body');
  const place = path.map(String);
  const field = [of === 'body' ? '' : `/${of}`, ...place].join('/');
  const name = place.length === 0 ? WHOLE[of] : place.join('.');
  throw new Refusal('invalid_input', `${name} ${words}`.slice(0, LONGEST), { field: field === '' ? '/' : field });
}
