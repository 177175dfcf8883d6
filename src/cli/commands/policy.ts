import type { Answer, BodyIn } from '#contract/routes.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { isPolicy, isPolicyTest, type LocalFile, readConfiguration } from '../session/local-files.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { hasErrors, renderFindings } from './render-findings.ts';

const ACTIONS = ['request', 'autoApprove', 'review', 'activate', 'connect', 'extend', 'breakGlass', 'replay', 'administer'] as const;

interface SimulateOptions {
  readonly as: string;
  readonly action: string;
  readonly entitlement?: string;
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
}

export function addPolicy(shell: Shell): void {
  const policy = shell.group('policy', 'Read, check and try policies');
  shell.leaf(policy, {
    use: 'show',
    about: 'Print the published policies',
    examples: ['brevet policy show', 'brevet policy show --json'],
    act: async (run) => {
      const set = await (await run.client()).call('policies');
      const code = (text: string) => text.trimEnd().split('\n').map(escape).join('\n');
      run.answer(set, () => [run.paint('dim', `// version ${set.version}`), ...set.sources.map(({ file, text }) => `${run.paint('dim', `// ${escape(file)}`)}\n${code(text)}`)].join('\n\n'));
    },
  });
  shell.leaf(policy, {
    use: 'lint [folder]',
    about: 'Find mistakes in the policies of a folder, or in the published ones\nNames are looked up in the YAML of the folder where it has any, as plan does it; else among what there is. Without .cedar files in the folder: the published policies.',
    examples: ['brevet policy lint ./access', 'brevet policy lint'],
    act: async (run, [folder]) => {
      const client = await run.client();
      const { findings } = await client.call('lintPolicies', { body: folder === undefined ? {} : lintBody(await readConfiguration(folder)) });
      run.answer({ findings }, () => (findings.length === 0 ? run.paint('good', '■ nothing to complain about') : renderFindings(run, findings)));
      return hasErrors(findings) ? EXIT.checkFailed : EXIT.ok;
    },
  });
  shell.leaf(policy, {
    use: 'test <folder>',
    about: 'Run the policy tests (*.test.yaml) of a folder against its policies\nWithout .cedar files in the folder: against the published ones.',
    examples: ['brevet policy test ./access'],
    act: async (run, [folder = '']) => {
      const files = await readConfiguration(folder);
      const tests = files.filter(isPolicyTest).map(({ path, text }) => ({ file: path, text }));
      if (tests.length === 0) throw new Failure(EXIT.usage, `${folder} holds no *.test.yaml files`);
      const results = await (await run.client()).call('testPolicies', { body: { ...sourcesOf(files), tests } });
      run.answer(results, () => renderTests(run, results));
      return results.failed > 0 ? EXIT.checkFailed : EXIT.ok;
    },
  });
  shell.leaf<SimulateOptions>(policy, {
    use: 'simulate [folder]',
    about: 'Ask what policy would say\nStarts from the facts of this moment; --set replaces one, --unset takes one away. With a folder: by its policies instead of the published ones. Exit code 3 when it is refused.',
    examples: [
      'brevet policy simulate --as ana --action request --entitlement orders-read --set duration=2h',
      'brevet policy simulate ./access --as ana --action autoApprove --entitlement orders-read --unset ticket',
    ],
    options: (command) => {
      const gather = (value: string, all: readonly string[] = []) => [...all, value];
      return command
        .requiredOption('--as <name>', 'the person or workload who asks')
        .requiredOption('--action <action>', ACTIONS.join(', '))
        .option('--entitlement <name>', 'what it is about')
        .option('--set <fact=value>', 'a fact, in the words of policies or of policy tests (duration=2h), as JSON or text; may be repeated', gather)
        .option('--unset <fact>', 'a fact that is not known; may be repeated', gather);
    },
    act: simulate,
  });
}

function sourcesOf(files: readonly LocalFile[]): Pick<BodyIn<'lintPolicies'>, 'sources'> {
  const sources = files.filter(isPolicy).map(({ path, text }) => ({ file: path, text }));
  return sources.length === 0 ? {} : { sources };
}

function lintBody(files: readonly LocalFile[]): BodyIn<'lintPolicies'> {
  const objects = files.filter((file) => !isPolicy(file) && !isPolicyTest(file));
  return { ...sourcesOf(files), ...(objects.length === 0 ? {} : { files: objects.map(({ path, text }) => ({ path, text })) }) };
}

async function draft(folder: string | undefined): Promise<Pick<BodyIn<'lintPolicies'>, 'sources'>> {
  if (folder === undefined) return {};
  const sources = sourcesOf(await readConfiguration(folder));
  if (sources.sources === undefined) throw new Failure(EXIT.usage, `${folder} holds no .cedar files`);
  return sources;
}

async function simulate(run: Run, [folder]: readonly string[], options: SimulateOptions): Promise<ExitCode> {
  const action = ACTIONS.find((each) => each === options.action);
  if (action === undefined) throw new Failure(EXIT.usage, `--action is one of ${ACTIONS.join(', ')}`);
  const client = await run.client();
  const simulation = await client.call('simulatePolicies', {
    body: {
      ...(await draft(folder)),
      action,
      principal: options.as,
      ...(options.entitlement === undefined ? {} : { entitlement: options.entitlement }),
      context: readFacts(options.set ?? [], options.unset ?? []),
    },
  });
  run.answer(simulation, () => renderSimulation(run, simulation));
  return simulation.verdict.allowed ? EXIT.ok : EXIT.refused;
}

type Facts = NonNullable<BodyIn<'simulatePolicies'>['context']>;

/** A value is JSON where it reads as JSON, and text otherwise; null takes the fact away. */
function readFacts(set: readonly string[], unset: readonly string[]): Facts {
  const facts = new Map<string, Facts[string]>();
  for (const each of set) {
    const at = each.indexOf('=');
    if (at < 1) throw new Failure(EXIT.usage, `--set ${each}: write it as fact=value`);
    const text = each.slice(at + 1);
    try {
      facts.set(each.slice(0, at), JSON.parse(text) as Facts[string]);
    } catch {
      facts.set(each.slice(0, at), text);
    }
  }
  for (const name of unset) facts.set(name, null);
  return Object.fromEntries(facts);
}

function renderSimulation(run: Run, { verdict, explanation }: Answer<'simulatePolicies'>): string {
  const { paint } = run;
  return [
    `${verdict.allowed ? paint('good', '✓ allowed') : paint('bad', '✕ refused')}  ${paint('dim', verdict.policyVersion === 0 ? 'by the policies of the folder, which are not published' : `policy version ${verdict.policyVersion}`)}`,
    ...explanation.map((line) => `  ${escape(line)}`),
    ...verdict.failed.map(({ id, message }) => `  ${paint('bad', '▲')} ${escape(id)} could not be judged: ${escape(message)}`),
  ].join('\n');
}

function renderTests(run: Run, { passed, failed, cases }: Answer<'testPolicies'>): string {
  const { paint } = run;
  const lines = cases.flatMap((each) => {
    const at = `${each.file}${each.line === null ? '' : `:${each.line}`}`;
    if (each.passed) return [`${paint('good', '✓')} ${escape(each.name)}`];
    return [`${paint('bad', '✕')} ${escape(each.name)}  ${paint('dim', escape(at))}`, ...each.explanation.map((line) => `    ${escape(line)}`)];
  });
  return [...lines, `${passed} passed, ${failed} failed`].join('\n');
}
