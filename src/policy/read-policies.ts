import { Buffer } from 'node:buffer';
import type { PolicyFinding, PolicySource } from '#app/ports/policy.ts';
import type { DetailedError, PolicyJson } from './cedar.ts';
import { CedarCrash, withCedar } from './cedar.ts';
import type { FindingCode, Place } from './findings.ts';
import { didYouMean } from '#domain/did-you-mean.ts';
import { finding } from './findings.ts';
import type { Statement } from './source-text.ts';
import { LIMITS, placeAt, placeOfByte, splitStatements } from './source-text.ts';

/** One policy as read: its id, where it stands, and Cedar's own tree of it. */
export interface ReadPolicy {
  /** Its `@id`; without one, `file:line`. */
  readonly id: string;
  readonly named: boolean;
  readonly reason: string | null;
  readonly statement: Statement;
  readonly json: PolicyJson;
}

export interface ReadPolicies {
  readonly policies: readonly ReadPolicy[];
  readonly findings: readonly PolicyFinding[];
}

const ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const ANNOTATIONS = ['id', 'reason'];
/** Soft hyphen, zero-width and bidirectional controls, byte order mark, and control characters but tab and line ends. */
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const HIDDEN = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/**
 * Reads policies from their files. Each policy is parsed on its own, so that one mistake hides no other. A policy with an error
 * is not among `policies`; whoever decides with the set must refuse it as a whole when any finding is an error.
 */
export function readPolicies(sources: readonly PolicySource[]): ReadPolicies {
  const bytes = sources.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const first = sources[0] ? { file: sources[0].file, line: 1, column: 1 } : null;
  if (bytes > LIMITS.setBytes) {
    const message = `the policies are ${bytes} bytes long; ${LIMITS.setBytes} is the most`;
    return { policies: [], findings: [finding('error', 'policy_too_large', message, first)] };
  }
  const hidden = sources.flatMap(({ file, text }) => hiddenCharacter(file, text));
  const statements = sources.flatMap(({ file, text }) => splitStatements(file, text));
  if (statements.length > LIMITS.statements) {
    const message = `there are more than ${LIMITS.statements} policies`;
    return { policies: [], findings: [...hidden, finding('error', 'policy_too_large', message, first)] };
  }
  const policies: ReadPolicy[] = [];
  const findings: PolicyFinding[] = hidden;
  const seen = new Map<string, Place>();
  for (const statement of statements) {
    const read = readStatement(statement);
    const problems = Array.isArray(read) ? read : identity(read, seen);
    findings.push(...problems);
    if (!Array.isArray(read) && !problems.some(({ severity }) => severity === 'error')) policies.push(read);
  }
  return { policies, findings };
}

function readStatement(statement: Statement): ReadPolicy | PolicyFinding[] {
  const fail = (code: FindingCode, message: string, place = statement.place) => [finding('error', code, message, place)];
  if (Buffer.byteLength(statement.text) > LIMITS.statementBytes) {
    return fail('policy_too_large', `this policy is longer than ${LIMITS.statementBytes} bytes`);
  }
  if (statement.depth > LIMITS.depth || statement.operators > LIMITS.operators) {
    const most = `${LIMITS.depth} levels of brackets and ${LIMITS.operators} operators are the most`;
    return fail('policy_too_complex', `this policy is too complex: ${most}. Split it into several.`);
  }
  try {
    const answer = withCedar((cedar) => cedar.policyToJson(statement.text));
    if (answer.type === 'failure') return parseErrors(statement, answer.errors);
    return named(statement, answer.json);
  } catch (error) {
    if (error instanceof CedarCrash) return fail('policy_too_complex', `this policy is ${error.message}`);
    throw error;
  }
}

function parseErrors(statement: Statement, errors: readonly DetailedError[]): PolicyFinding[] {
  if (/permit|forbid/.test(statement.text) && isTemplate(statement.text)) {
    return [finding('error', 'policy_template', 'templates (?principal, ?resource) are not used here', statement.place)];
  }
  return errors.map((error) => cedarFinding(statement, error, 'error', 'policy_syntax', null));
}

function isTemplate(text: string): boolean {
  return withCedar((cedar) => cedar.templateToJson(text).type === 'success');
}

/** One of Cedar's errors as a finding, at its place in the file, with Cedar's own help kept. */
export function cedarFinding(
  statement: Statement,
  error: DetailedError,
  severity: 'error' | 'warning',
  code: FindingCode,
  policy: string | null,
): PolicyFinding {
  const at = error.sourceLocations?.[0];
  const text = error.message.replace(/^failed to parse polic(?:y|ies)(?: with id `[^`]*`)? from string: |^for policy `[^`]*`, /, '');
  const parts = [text, at?.label, error.help].filter((part) => part !== null && part !== undefined && part !== '');
  return finding(severity, code, parts.join('; ').slice(0, 600), at ? placeOfByte(statement, at.start) : statement.place, policy);
}

function named(statement: Statement, json: PolicyJson): ReadPolicy {
  const { file, line } = statement.place;
  const id = json.annotations?.['id'];
  const reason = json.annotations?.['reason'] ?? null;
  return { id: id ?? `${file}:${line}`, named: id !== undefined, reason: reason === '' ? null : reason, statement, json };
}

/** Ids name policies in verdicts and in the log: present, plain, unique in the whole set. */
function identity(policy: ReadPolicy, seen: Map<string, Place>): PolicyFinding[] {
  const { place } = policy.statement;
  const found: PolicyFinding[] = [];
  if (!policy.named) {
    found.push(finding('warning', 'policy_id_missing', 'this policy has no @id("..."), by which a verdict would name it', place, policy.id));
  } else if (!ID.test(policy.id)) {
    const message = `"${policy.id.slice(0, 80)}" can't be an @id: up to 64 letters, digits, dots, dashes, underscores`;
    found.push(finding('error', 'policy_id_invalid', message, place));
  }
  const other = seen.get(policy.id);
  if (other) {
    const message = `@id("${policy.id}") is taken by the policy at ${other.file}:${other.line}`;
    found.push(finding('error', 'policy_id_duplicate', message, place, policy.id));
  }
  seen.set(policy.id, place);
  for (const annotation of Object.keys(policy.json.annotations ?? {})) {
    const meant = ANNOTATIONS.includes(annotation) ? '' : didYouMean(annotation, ANNOTATIONS);
    if (meant !== '') found.push(finding('warning', 'policy_id_missing', `@${annotation} means nothing here.${meant}`, place, policy.id));
  }
  return found;
}

function hiddenCharacter(file: string, text: string): PolicyFinding[] {
  const match = HIDDEN.exec(text);
  if (!match) return [];
  const code = (match[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const message = `the hidden character U+${code}: this text may not say what it shows`;
  return [finding('error', 'hidden_character', message, placeAt(file, text, match.index))];
}
