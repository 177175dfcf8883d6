import type { CliDeps } from './deps.ts';
import { addAsk } from './commands/ask.ts';
import { addCatalogue } from './commands/catalogue.ts';
import { addCompletion } from './commands/completion.ts';
import { addConfiguration } from './commands/configuration.ts';
import { addConnect } from './commands/connect.ts';
import { addDoctor } from './commands/doctor.ts';
import { addGrants } from './commands/grants.ts';
import { addHelp } from './commands/help.ts';
import { addLog } from './commands/log.ts';
import { addPeople } from './commands/people.ts';
import { addPolicy } from './commands/policy.ts';
import { addPsql } from './commands/psql.ts';
import { addRequests } from './commands/requests.ts';
import { addReview } from './commands/review.ts';
import { addRootKeys } from './commands/root-keys.ts';
import { addServer } from './commands/server.ts';
import { addSessions } from './commands/sessions.ts';
import { addSignIn } from './commands/sign-in.ts';
import { Shell } from './shell.ts';

/** The whole command line: `await buildProgram(deps).run(argv)` answers the exit code. */
export function buildProgram(deps: CliDeps): Shell {
  const shell = new Shell(deps);
  const { program } = shell;
  const under = (heading: string, ...groups: readonly ((shell: Shell) => void)[]) => {
    program.commandsGroup(heading);
    for (const add of groups) add(shell);
  };
  under('Signing in:', addSignIn);
  under('Asking:', addCatalogue, addAsk, addRequests);
  under('Deciding:', addReview);
  under('Holding:', addGrants, addPsql, addConnect, addSessions);
  under('Proving:', addLog);
  under('Administering:', addConfiguration, addPolicy, addPeople, addDoctor, addServer, addRootKeys);
  under('Help:', addCompletion, addHelp);
  return shell;
}
