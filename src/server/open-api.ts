import { z } from 'zod';
import { PROBLEM_CODES, Problem } from '#contract/problem.ts';
import { ROUTES, type Route } from '#contract/routes.ts';

/** The API's description in OpenAPI 3.1, made from the contract: it can't drift from what is served. */
export function openApi(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, route] of Object.entries(ROUTES) as [string, Route][]) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(name, route);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Brevet', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }, description: `Errors are problem details (RFC 9457) with a code of: ${PROBLEM_CODES.join(', ')}.` },
    paths,
    components: {
      schemas: { Problem: schema(Problem, 'output') },
      securitySchemes: { signature: { type: 'apiKey', in: 'header', name: 'signature', description: 'HTTP Message Signatures (RFC 9421) with an enrolled Ed25519 key.' } },
    },
  };
}

function operation(name: string, route: Route): object {
  const parameters = [...fields(route.params, 'path'), ...fields(route.query, 'query')];
  if (route.method !== 'GET' && route.access !== 'public') {
    parameters.push({ name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', minLength: 8, maxLength: 200 } });
  }
  return {
    operationId: name,
    summary: route.summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': { schema: schema(route.body, 'input') } } } } : {}),
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: schema(route.answer, 'output') } } },
      default: { description: 'Refused', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
    },
    security: route.access === 'public' ? [] : [{ signature: [] }],
    'x-access': route.access,
  };
}

function fields(of: z.ZodType | undefined, where: 'path' | 'query'): object[] {
  if (!of) return [];
  const { properties = {}, required = [] } = schema(of, 'input') as { properties?: Record<string, object>; required?: string[] };
  return Object.entries(properties).map(([name, one]) => ({ name, in: where, required: where === 'path' || required.includes(name), schema: one }));
}

function schema(of: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(of, { io, unrepresentable: 'any' }) as Record<string, unknown>;
  return rest;
}
