import type { Problem, ProblemCode } from '#contract/problem.ts';
import { EXIT, EXIT_OF_PROBLEM, type ExitCode } from './exit-codes.ts';

/** Everything that a command can fail with: what to say, what to do next, what the shell gets. Never holds a secret. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exit: ExitCode;
  readonly hint: string | undefined;
  /** What `--json` prints on stderr. */
  readonly problem: Problem;

  constructor(exit: ExitCode, message: string, hint?: string, problem?: Problem) {
    super(message);
    this.exit = exit;
    this.hint = hint;
    this.problem = problem ?? localProblem(exit, message, hint);
  }
}

/** The server's refusal, as a failure. A code from a newer server counts by its HTTP status. */
export function failureOf(problem: Problem): Failure {
  const known = Object.hasOwn(EXIT_OF_PROBLEM, problem.code) ? EXIT_OF_PROBLEM[problem.code] : undefined;
  return new Failure(known ?? exitOfStatus(problem.status), problem.detail, problem.hint, problem);
}

export function exitOfStatus(status: number): ExitCode {
  if (status === 401) return EXIT.unauthenticated;
  if (status === 403) return EXIT.refused;
  if (status === 404) return EXIT.notFound;
  if (status === 409 || status === 412) return EXIT.state;
  if (status === 429) return EXIT.limited;
  if (status === 502 || status === 503 || status === 504) return EXIT.unavailable;
  return status >= 400 && status < 500 ? EXIT.usage : EXIT.internal;
}

/** Failures that never reached a server take the nearest code, and status 0. */
function localProblem(exit: ExitCode, detail: string, hint: string | undefined): Problem {
  const nearest: Readonly<Record<number, ProblemCode>> = {
    [EXIT.usage]: 'invalid_input',
    [EXIT.refused]: 'forbidden',
    [EXIT.notFound]: 'not_found',
    [EXIT.state]: 'wrong_state',
    [EXIT.unauthenticated]: 'unauthenticated',
    [EXIT.unavailable]: 'unavailable',
    [EXIT.timeout]: 'unavailable',
    [EXIT.limited]: 'rate_limited',
  };
  const code = nearest[exit] ?? 'internal';
  return { type: `https://brevet.dev/problems/${code}`, title: 'brevet', status: 0, code, detail, ...(hint === undefined ? {} : { hint }) };
}
