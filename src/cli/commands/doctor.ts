import { spawnSync } from 'node:child_process';
import type { Answer } from '#contract/routes.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import type { Tone } from '../output/paint.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';

type Check = Answer<'doctor'>['checks'][number];

const MARKS: { readonly [S in Check['state']]: readonly [Tone, string] } = { ok: ['good', '■'], warning: ['live', '△'], error: ['bad', '▲'] };

export function addDoctor(shell: Shell): void {
  shell.leaf(shell.program, {
    use: 'doctor',
    about: 'Explain what is in force and what is wrong\nChecks this machine, and (for administrators) the server.',
    examples: ['brevet doctor', 'brevet doctor --json'],
    act: doctor,
  });
}

async function doctor(run: Run): Promise<ExitCode> {
  const { checks, client } = await checkHere(run);
  let diagnosis: Answer<'doctor'> | null = null;
  if (client) {
    try {
      diagnosis = await client.call('doctor');
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const state = error.exit === EXIT.refused ? 'warning' : 'error';
      checks.push({ name: 'server checks', state, message: error.message, hint: error.hint ?? null });
    }
    const skew = Math.round(client.skewMs / 1000);
    if (Math.abs(skew) > 5) checks.push({ name: 'clock', state: Math.abs(skew) > 30 ? 'error' : 'warning', message: `this machine is ${Math.abs(skew)} s ${skew > 0 ? 'behind' : 'ahead of'} the server`, hint: 'Set the clock: signatures count for a minute.' });
  }
  const all = [...checks, ...(diagnosis?.checks ?? [])];
  run.answer({ client: { version: run.deps.version, checks }, server: diagnosis }, () => render(run, checks, diagnosis));
  return all.some((check) => check.state === 'error') ? EXIT.checkFailed : EXIT.ok;
}

async function checkHere(run: Run) {
  const checks: Check[] = [];
  const psql = spawnSync('psql', ['--version'], { encoding: 'utf8' });
  checks.push(
    psql.status === 0
      ? { name: 'psql', state: 'ok', message: psql.stdout.trim(), hint: null }
      : { name: 'psql', state: 'warning', message: 'psql is not installed here', hint: 'brevet psql needs it (Debian: apt-get install postgresql-client).' },
  );
  try {
    const client = await run.client();
    const me = await client.call('me');
    checks.push({ name: 'sign-in', state: 'ok', message: `${me.name} at ${client.server}, key in ${run.folder}`, hint: null });
    return { checks, client };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    checks.push({ name: 'sign-in', state: 'error', message: error.message, hint: error.hint ?? null });
    return { checks, client: null };
  }
}

function render(run: Run, here: readonly Check[], diagnosis: Answer<'doctor'> | null): string {
  const line = ({ name, state, message, hint }: Check) => {
    const [tone, mark] = MARKS[state];
    return `${run.paint(tone, mark)} ${run.paint('bold', escape(name))}  ${escape(message)}${hint && state !== 'ok' ? hint.split('\n').map((one) => `\n  ${run.paint('dim', escape(one))}`).join('') : ''}`;
  };
  const settings = Object.entries(diagnosis?.settings ?? {}).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const);
  return [
    `this machine, version ${run.deps.version}`,
    ...here.map(line),
    ...(diagnosis ? [`\nthe server, version ${escape(diagnosis.version)}`, ...diagnosis.checks.map(line), '\nsettings in force', facts(settings, run.paint, run.columns)] : []),
  ].join('\n');
}
