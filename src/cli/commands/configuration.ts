import type { Answer } from '#contract/routes.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { escape } from '../output/escape.ts';
import type { Tone } from '../output/paint.ts';
import { readConfiguration } from '../session/local-files.ts';
import { demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { hasErrors, renderFindings } from './render-findings.ts';

type Plan = Answer<'planConfiguration'>;
type Change = Plan['changes'][number];

export function addConfiguration(shell: Shell): void {
  shell.leaf(shell.program, {
    use: 'plan <folder>',
    about: 'Show what applying a folder would change\nReads the .yaml and .cedar files below the folder; changes nothing.',
    examples: ['brevet plan ./access', 'brevet plan ./access --json'],
    act: async (run, [folder = '']) => {
      const plan = await (await run.client()).call('planConfiguration', { body: { files: await readConfiguration(folder) } });
      run.answer(plan, () => renderPlan(run, plan));
      return hasErrors(plan.findings) ? EXIT.checkFailed : EXIT.ok;
    },
  });
  shell.leaf<{ yes?: true }>(shell.program, {
    use: 'apply <folder>',
    about: 'Make the files of a folder true\nShows the plan and asks. If anything else changed in between, nothing is applied.',
    examples: ['brevet apply ./access', 'brevet apply ./access --yes'],
    options: (command) => command.option('--yes', 'do not ask'),
    act: apply,
  });
}

async function apply(run: Run, [folder = '']: readonly string[], { yes }: { yes?: true }): Promise<ExitCode> {
  const client = await run.client();
  const files = await readConfiguration(folder);
  const plan = await client.call('planConfiguration', { body: { files } });
  if (hasErrors(plan.findings) || plan.changes.length === 0) {
    run.answer(plan, () => renderPlan(run, plan));
    return hasErrors(plan.findings) ? EXIT.checkFailed : EXIT.ok;
  }
  run.note(renderPlan(run, plan));
  await demand(run, yes, '\nApply this?');
  const applied = await client.call('applyConfiguration', { body: { files, base: plan.base } });
  run.answer(applied, () => run.paint('good', `✓ applied: ${applied.changes.length} ${applied.changes.length === 1 ? 'change' : 'changes'}`));
  return EXIT.ok;
}

const SIGNS: { readonly [C in Change['change']]: readonly [Tone, string] } = {
  create: ['good', '+ create '],
  update: ['live', '~ update '],
  retire: ['bad', '- retire '],
  restore: ['good', '+ restore'],
};

function renderPlan(run: Run, { changes, findings }: Plan): string {
  // What an object in error would become is not known: listed with the rest it would look like one that goes.
  if (hasErrors(findings)) return [renderFindings(run, findings), 'nothing is applied until this is mended'].join('\n');
  const blocks = changes.map(({ kind, name, change, lines }) => {
    const [tone, sign] = SIGNS[change];
    return [`${run.paint(tone, sign)}  ${escape(kind)} ${run.paint('bold', escape(name))}`, ...lines.map((line) => `             ${escape(line)}`)].join('\n');
  });
  const count = (change: Change['change']) => changes.filter((each) => each.change === change).length;
  const sum = changes.length === 0 ? '■ nothing would change' : `${count('create') + count('restore')} to create, ${count('update')} to update, ${count('retire')} to retire`;
  return [...blocks, ...(findings.length > 0 ? [renderFindings(run, findings)] : []), sum].join('\n');
}
