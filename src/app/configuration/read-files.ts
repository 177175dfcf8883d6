import { isMap, isNode, LineCounter, parseDocument, type Document } from 'yaml';
import type { PolicyFinding } from '../ports/policy.ts';
import { explainIssue } from '#domain/explain-issue.ts';
import { ConfigurationFile, type Desired, type Place } from './desired.ts';

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export type ConfigurationFinding = PolicyFinding;

/**
 * Reads the files of a folder: `*.yaml`, `*.yml` and `*.cedar`; `*.test.yaml` are policy tests and left alone. Every
 * mistake is a finding with file, line and column; nothing is thrown.
 */
export function readFiles(files: readonly SourceFile[]): { readonly desired: Desired; readonly findings: readonly ConfigurationFinding[] } {
  const findings: ConfigurationFinding[] = [];
  const places = new Map<string, (path: readonly string[]) => Place>();
  const merged = ConfigurationFile.parse({});
  // By these names is looked up: "constructor" has to be there because a file says so, not because objects have one.
  for (const objects of Object.values(merged)) Object.setPrototypeOf(objects, null);
  for (const file of files) {
    if (!/\.ya?ml$/.test(file.path) || /\.test\.ya?ml$/.test(file.path)) continue;
    const lines = new LineCounter();
    const document = parseDocument(file.text, { lineCounter: lines, uniqueKeys: true, version: '1.2', schema: 'core' });
    const place = (path: readonly PropertyKey[]): Place => placeOf(document, lines, file.path, path);
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      findings.push(finding('invalid_yaml', error.message.split('\n')[0] ?? 'not YAML', { file: file.path, line, column: col }));
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    const plain = toPlain(document);
    const parsed = ConfigurationFile.safeParse(plain);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        const { path, words } = explainIssue(ConfigurationFile, issue, plain);
        findings.push(finding('invalid_value', `${path.map(String).join('.') || 'the file'} ${words}`, place(path)));
      }
      continue;
    }
    mergeInto(merged, parsed.data, (kind, name) => {
      const key = `${kind}/${name}`;
      if (places.has(key)) findings.push(finding('named_twice', `${kind} ${name} stands in ${places.get(key)?.([]).file ?? 'another file'} as well`, place([kind, name])));
      else places.set(key, (path) => place([kind, name, ...path]));
    });
  }
  const nowhere: Place = { file: null, line: null, column: null };
  const policies = files.filter((file) => file.path.endsWith('.cedar')).map((file) => ({ file: file.path, text: file.text }));
  return { desired: { ...merged, policies, whereIs: (kind, name, path = []) => places.get(`${kind}/${name}`)?.(path) ?? nowhere }, findings };
}

export function finding(code: string, message: string, place: Place): ConfigurationFinding {
  return { severity: 'error', code, message, ...place, policy: null };
}

/** Aliases are counted by the library (a bomb is refused there); the plain value holds no prototype but Object's. */
function toPlain(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 20 });
  } catch {
    return null;
  }
}

function mergeInto(merged: ConfigurationFile, more: ConfigurationFile, seen: (kind: keyof ConfigurationFile, name: string) => void): void {
  for (const kind of Object.keys(merged) as (keyof ConfigurationFile)[]) {
    for (const [name, value] of Object.entries(more[kind])) {
      seen(kind, name);
      Object.assign(merged[kind], { [name]: value });
    }
  }
}

/** Where a value stands: of a field that is missing, where its object does. */
function placeOf(document: Document.Parsed, lines: LineCounter, file: string, path: readonly PropertyKey[]): Place {
  for (let length = path.length; length > 0; length--) {
    const keyed = keyOf(document, path.slice(0, length));
    if (keyed === null) continue;
    const { line, col } = lines.linePos(keyed);
    return { file, line, column: col };
  }
  return { file, line: 1, column: 1 };
}

function keyOf(document: Document.Parsed, path: readonly PropertyKey[]): number | null {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => String(item.key) === String(last));
    if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
  }
  const node = document.getIn(path, true);
  return isNode(node) && node.range ? node.range[0] : null;
}
