import type { FastifyReply } from 'fastify';
import type { ServerDeps } from './deps.ts';
import type { Answered } from './idempotency.ts';
import { problemOf } from './problem-of.ts';

/** A failure as an answer. What is our own fault is told to the operator, by the trace that the caller sees. */
export function asProblem(deps: ServerDeps, error: unknown): Answered {
  const trace = deps.newTrace();
  const problem = problemOf(error, trace);
  if (problem.status >= 500) {
    const facts = { trace, code: problem.code, message: error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 500) : 'unknown' };
    deps.app.journal.error('a call failed', problem.code === 'internal' && error instanceof Error ? { ...facts, stack: error.stack?.slice(0, 2000) } : facts);
  }
  return { status: problem.status, payload: JSON.stringify(problem) };
}

export function sendProblem(deps: ServerDeps, reply: FastifyReply, error: unknown): FastifyReply {
  const { status, payload } = asProblem(deps, error);
  return reply.status(status).type('application/problem+json').send(payload);
}
