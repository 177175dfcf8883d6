/**
 * Puts what a schema found into words for people: what stood there, and what may stand there, in the words of the schema's
 * own description. Knows zod's shapes and not zod.
 */
import { didYouMean } from './did-you-mean.ts';

/** What is read of a zod schema. */
export interface SchemaLike {
  readonly description?: string | undefined;
  readonly def: object;
}

/** What is read of a zod issue. */
export interface IssueLike {
  readonly code?: string | undefined;
  readonly message: string;
  readonly path: readonly PropertyKey[];
}

interface Definition {
  readonly innerType?: SchemaLike;
  readonly valueType?: SchemaLike;
  readonly element?: SchemaLike;
  readonly out?: SchemaLike;
  readonly shape?: Readonly<Record<string, SchemaLike>>;
}

const LONGEST = 60;
/** zod's message of a check that was given none. */
const UNWORDED = 'Invalid input';

/**
 * `path` is the place; of a key that does not exist, the key's own. `words` goes on after "the setting http.port ".
 * @param isSecret whether what stands there must not be shown
 */
export function explainIssue(schema: SchemaLike, issue: IssueLike, input: unknown, isSecret: (path: readonly PropertyKey[]) => boolean = () => false): { readonly path: readonly PropertyKey[]; readonly words: string } {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = 'keys' in issue ? (issue.keys as readonly string[]) : [];
    const known = Object.keys(definitionOf(at(schema, path)).shape ?? {});
    const near = didYouMean(key, known);
    return { path: [...path, key], words: `is not known.${near || ` Known here: ${known.join(', ')}.`}` };
  }
  if (issue.code === 'invalid_key') {
    const [fault] = (issue as { issues?: readonly IssueLike[] }).issues ?? [];
    return { path, words: `can't be called that: ${fault?.message ?? 'it is no name'}` };
  }
  const found = valueAt(input, path);
  const tells = found === null || typeof found === 'object' || !isSecret(path);
  const is = found === undefined ? 'is missing' : tells ? `is ${shown(found)}` : 'is wrong';
  const allowed = describedAt(schema, path);
  // A message written for its very check says more than what the field holds in general.
  const why = issue.code === 'custom' && issue.message !== UNWORDED ? issue.message : issue.code === 'invalid_format' && allowed === null ? issue.message : null;
  const must = allowed === null ? inGeneral(issue) : `must be ${allowed}`;
  return { path, words: `${is}; ${why === null ? must : allowed === null ? why : `${why}: it ${must}`}` };
}

function inGeneral(issue: IssueLike): string {
  const { expected, values } = issue as { expected?: unknown; values?: readonly unknown[] };
  if (Array.isArray(values)) return `must be ${values.length === 1 ? '' : 'one of '}${values.join(', ')}`;
  const kind = KINDS[String(expected)];
  if (kind !== undefined) return `must be ${kind}`;
  return issue.code === 'too_small' || issue.code === 'too_big' ? bound(issue) : `must be of another kind or form`;
}

/** `Too big: expected string to have <=200 characters`, in plain words. */
function bound(issue: IssueLike): string {
  const { origin, minimum, maximum, inclusive } = issue as { origin?: string; minimum?: number | bigint; maximum?: number | bigint; inclusive?: boolean };
  const limit = minimum ?? maximum;
  const how = minimum === undefined ? (inclusive === false ? 'less than' : 'at most') : inclusive === false ? 'more than' : 'at least';
  const unit = { string: 'character', array: 'entry', set: 'entry', object: 'entry' }[String(origin)];
  if (unit === undefined) return `must be ${how} ${String(limit)}`;
  return `must have ${how} ${String(limit)} ${Number(limit) === 1 ? unit : unit.replace(/y$/, 'ie')}${Number(limit) === 1 ? '' : 's'}`;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false', array: 'a list', object: 'a map of names to values', record: 'a map of names to values',
};

function shown(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, key) => (typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<PropertyKey, unknown>)[key] : undefined), input);
}

function definitionOf(schema: SchemaLike | undefined): Definition {
  const definition = (schema?.def ?? {}) as Definition;
  const inner = definition.innerType ?? definition.out;
  return inner ? definitionOf(inner) : definition;
}

function at(schema: SchemaLike, path: readonly PropertyKey[]): SchemaLike | undefined {
  return path.reduce<SchemaLike | undefined>((one, key) => {
    const { shape, valueType, element } = definitionOf(one);
    return shape?.[String(key)] ?? valueType ?? element;
  }, schema);
}

function describedAt(schema: SchemaLike, path: readonly PropertyKey[]): string | null {
  for (let one = at(schema, path); one; one = (one.def as Definition).innerType) if (one.description !== undefined) return one.description;
  return null;
}
