import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { policySet, question } from '#test/worlds/policy-world.ts';
import { CedarCrash, withCedar } from './cedar.ts';
import { createPolicyEngine } from './cedar-engine.ts';
import { LIMITS, splitStatements } from './source-text.ts';
import { validatePolicies } from './validate.ts';

const check = (text: string, file = 'a.cedar') => validatePolicies([{ file, text }]);
const brief = (text: string) => check(text).map(({ severity, code, line, column }) => `${severity} ${code} ${line}:${column}`);
const GOOD = '@id("good") permit(principal, action == Action::"request", resource);';

describe('validation', () => {
  it('finds nothing in good policies', () => {
    assert.deepEqual(check(`// a comment; with "signs\n${GOOD}\r// another\r\n`), []);
  });

  it('points at the very characters, also behind text of several bytes', () => {
    const text = `// Führungskräfte 👩‍💻\n@id("é")\npermit(principal, action, resource);\n\n${GOOD}\n@id("b") @reason("größer 👍") permit(principal, action == Action::"request", resource) when { context.durationSecond > 1 };`;
    const [id, schema] = check(text.replace('👩‍💻', ''));
    assert.equal(id?.code, 'policy_id_invalid');
    assert.deepEqual([id?.line, id?.column], [2, 1]);
    const lines = text.split('\n');
    assert.equal(schema?.code, 'policy_schema');
    assert.equal(schema?.line, 6);
    const marked = Array.from(lines[5] ?? '').slice((schema?.column ?? 0) - 1).join('');
    assert.match(marked, /^context\.durationSecond >/);
    assert.match(schema?.message ?? '', /did you mean `durationSeconds`\?/);
  });

  it('counts a character outside the basic plane once', () => {
    assert.deepEqual(brief(`@id("a") @reason("👍") permit(principal, action == Action::"request", resource); permit(principal, action, oops);`), [
      'error policy_syntax 1:107',
    ]);
  });

  it('reports each broken policy, not only the first', () => {
    const text = `${GOOD}\npermit(principal, action, resource) wen { true };\n@id("c")\nforbid(principal, action, resource) when { foo };`;
    assert.deepEqual(brief(text), ['error policy_syntax 2:37', 'error policy_syntax 4:44']);
  });

  it('refuses a fact that may be absent and is not tested for', () => {
    const [found] = check('@id("a") permit(principal, action == Action::"request", resource) when { context.ticket == "x" };');
    assert.equal(found?.code, 'policy_schema');
    assert.match(found?.message ?? '', /context has ticket &&/);
  });

  it('refuses an unknown type and an unknown action with a suggestion', () => {
    const [type] = check('@id("a") permit(principal in Grop::"x", action == Action::"request", resource);');
    assert.match(type?.message ?? '', /did you mean `Group`/);
    const [action] = check('@id("a") permit(principal, action == Action::"requst", resource);');
    assert.match(action?.message ?? '', /did you mean `Action::"request"`/);
  });

  it('refuses duplicate ids across files and names the first place', () => {
    const found = validatePolicies([
      { file: 'a.cedar', text: GOOD },
      { file: 'b.cedar', text: `\n${GOOD}` },
    ]);
    assert.deepEqual(found.map(({ code, file, line }) => [code, file, line]), [['policy_id_duplicate', 'b.cedar', 2]]);
    assert.match(found[0]?.message ?? '', /a\.cedar:1/);
  });

  it('warns of a policy without id and of a mistyped annotation', () => {
    assert.deepEqual(brief('permit(principal, action, resource);'), ['warning policy_id_missing 1:1']);
    assert.match(check(`@reasn("x") ${GOOD}`)[0]?.message ?? '', /Did you mean "reason"/);
  });

  it('warns of a policy that can never apply', () => {
    const text = '@id("a") permit(principal is Workload, action == Action::"review", resource);';
    assert.deepEqual(brief(text), ['warning policy_never_applies 1:1']);
  });

  it('knows templates and says so', () => {
    assert.deepEqual(brief('@id("t") permit(principal == ?principal, action, resource);'), ['error policy_template 1:1']);
  });

  it('A08 a look-alike group name is refused, plainly written or escaped', () => {
    for (const name of ['d\u0435velopers', 'd\\u{435}velopers']) {
      const found = check(`@id("a") permit(principal in Group::"${name}", action == Action::"request", resource);`);
      assert.deepEqual(found.map(({ code }) => code), ['name_not_ascii']);
      assert.match(found[0]?.message ?? '', /d\\u\{435\}velopers/);
    }
  });

  it('A08 hidden and bidirectional characters are refused, even in comments', () => {
    assert.deepEqual(brief(`${GOOD}\n// \u202e}; nothing to see`), ['error hidden_character 2:4']);
    assert.ok(brief('@id("a\u200b") permit(principal, action, resource);').includes('error hidden_character 1:7'));
  });

  it('a comment ends at a carriage return, as it does for Cedar', () => {
    assert.equal(splitStatements('f', '// note\rforbid(principal, action, resource);').length, 1);
    const set = policySet(`${GOOD}// note\r@id("no") forbid(principal, action, resource);`);
    assert.equal(createPolicyEngine().decide(set, question()).allowed, false);
  });
});

describe('H03 hostile policy text gets a finding, not a crash', () => {
  const when = (body: string) => `@id("h") permit(principal, action, resource) when { ${body} };`;
  const n = 100_000;
  const hostile: readonly [string, string, string][] = [
    ['nested brackets', when(`${'('.repeat(n)}true${')'.repeat(n)}`), 'policy_too_large'],
    ['brackets of 200 levels', when(`${'('.repeat(200)}true${')'.repeat(200)}`), 'policy_too_complex'],
    ['sets of 200 levels', when(`${'['.repeat(200)}1${']'.repeat(200)} == 1`), 'policy_too_complex'],
    ['a chain of accesses', when(`context${'.a'.repeat(500)}`), 'policy_too_complex'],
    ['a chain of sums', when(`${Array(600).fill('1').join(' + ')} == 1`), 'policy_too_complex'],
    ['a chain of ifs', when(`${'if true then true else '.repeat(400)}true`), 'policy_too_complex'],
    ['many clauses', `@id("h") permit(principal, action, resource) ${'when { true } '.repeat(500)};`, 'policy_too_complex'],
    ['unary signs', when(`${'!'.repeat(5000)}true`), 'policy_syntax'],
    ['a string without end', '@id("h', 'policy_syntax'],
    ['an integer too large', when('1e400 == 1'), 'policy_syntax'],
    ['nothing but quotes', '"'.repeat(999), 'policy_syntax'],
    ['a megabyte of comment', `//${'x'.repeat(1_100_000)}`, 'policy_too_large'],
    ['a million policies', ';'.repeat(1_000_000), 'policy_too_large'],
    ['NUL', `${GOOD}\u0000`, 'hidden_character'],
  ];
  for (const [what, text, code] of hostile) {
    it(what, () => {
      assert.ok(check(text).some((found) => found.code === code && found.severity === 'error'), brief(text).join());
      assert.equal(createPolicyEngine().decide(policySet(text + GOOD), question()).allowed, false);
      assert.deepEqual(check(GOOD), []);
    });
  }

  it('a legitimate list of a thousand names is fine', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `"repo-${i}"`).join(', ');
    assert.deepEqual(check(`@id("many") permit(principal, action == Action::"request", resource) when { [${names}].contains(resource.name) };`), []);
  });

  it('everything within the limits is also decided without overflow', () => {
    const depth = LIMITS.depth - 3;
    const wraps: readonly ((inner: string) => string)[] = [
      (e) => `(${e})`,
      (e) => `!(${e})`,
      (e) => `[${e}].contains(true)`,
      (e) => `{a: ${e}}.a`,
      (e) => `(if true then ${e} else false)`,
      (e) => `(${e} && true || false)`,
    ];
    const engine = createPolicyEngine();
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...wraps), { minLength: 5, maxLength: 60 }), fc.nat(40), (layers, extra) => {
        const body = layers.reduce((inner, wrap) => wrap(inner), `1${' + 1'.repeat(extra)} > 0`);
        const text = when(body);
        const [statement] = splitStatements('f', text);
        const within = (statement?.depth ?? 0) <= LIMITS.depth && (statement?.operators ?? 0) <= LIMITS.operators;
        assert.equal(check(text).some(({ code }) => code === 'policy_too_complex'), !within);
        const { failed } = engine.decide(policySet(text), question());
        if (within) assert.deepEqual(failed, []);
      }),
      { numRuns: 40 },
    );
    const deepest = when(`${'('.repeat(depth)}true${')'.repeat(depth)} && 1${' + 1'.repeat(200)} > 0`);
    assert.equal(engine.decide(policySet(deepest), question()).allowed, true);
  });

  it('should Cedar overflow all the same, the next question is answered', () => {
    const engine = createPolicyEngine();
    assert.equal(engine.decide(policySet(GOOD), question()).allowed, true);
    const bomb = `permit(principal, action, resource) when { ${'('.repeat(3000)}true${')'.repeat(3000)} };`;
    assert.throws(() => withCedar((cedar) => cedar.policyToJson(bomb)), CedarCrash);
    assert.equal(engine.decide(policySet(GOOD), question()).allowed, true);
    assert.equal(engine.decide(policySet(''), question()).allowed, false);
  });
});
