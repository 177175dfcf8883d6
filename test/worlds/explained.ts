/**
 * What statements read, by PostgreSQL's own account: each is explained with its values before it runs, as it would be planned
 * for them and as it would be for any.
 */
import { escapeLiteral, type PoolClient, type QueryResultRow } from 'pg';
import type { Sql } from '#store/sql.ts';

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly Node[];
}

export interface Reading {
  readonly plan: 'custom' | 'generic';
  readonly statement: string;
  /** Pages of tables and indexes, of 8 KB, each as often as it was looked at. */
  readonly pages: number;
  /** Tables that were read from end to end. */
  readonly whole: readonly string[];
  readonly outline: string;
}

/** Asks like the store does, on one connection inside one transaction, and tells of each statement. */
export function explainedSql(client: PoolClient, tell: (reading: Reading) => void): Sql {
  const explain = async (statement: string, values: readonly unknown[], plan: Reading['plan']) => {
    const given = values.length === 0 ? '' : `(${values.map(literal).join(', ')})`;
    await client.query(`savepoint explained; set local plan_cache_mode = force_${plan}_plan; prepare explained as ${statement}`);
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(`explain (analyze, buffers, timing off, format json) execute explained${given}`);
    await client.query('rollback to explained; deallocate explained');
    const root = rows[0]?.['QUERY PLAN'][0].Plan;
    if (!root) throw new Error('there is no plan');
    tell({ plan, statement, pages: root['Shared Hit Blocks'] + root['Shared Read Blocks'], whole: wholeIn(root), outline: outlineOf(root) });
  };
  const ask = async <R extends QueryResultRow>(statement: string, values: readonly unknown[] = []) => {
    if (!/pg_advisory|^set /.test(statement)) for (const plan of ['custom', 'generic'] as const) await explain(statement, values, plan);
    return client.query<R>(statement, [...values]);
  };
  return {
    rows: async <R extends QueryResultRow>(statement: string, values?: readonly unknown[]) => (await ask<R>(statement, values)).rows,
    row: async <R extends QueryResultRow>(statement: string, values?: readonly unknown[]) => (await ask<R>(statement, values)).rows[0] ?? null,
    run: async (statement, values) => (await ask(statement, values)).rowCount ?? 0,
  };
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  // Of an empty one PostgreSQL takes the type from where it stands.
  if (Array.isArray(value)) return value.length === 0 ? `'{}'` : `array[${value.map(literal).join(', ')}]`;
  if (typeof value === 'number') return String(value);
  if (value instanceof Date) return escapeLiteral(value.toISOString());
  if (value instanceof Uint8Array) return escapeLiteral(`\\x${Buffer.from(value).toString('hex')}`);
  return escapeLiteral(String(value));
}

const wholeIn = (node: Node): readonly string[] =>
  [...(node['Node Type'] === 'Seq Scan' && node['Relation Name'] !== undefined ? [node['Relation Name']] : []), ...(node.Plans ?? []).flatMap(wholeIn)];

function outlineOf(node: Node, indent = ''): string {
  const { 'Relation Name': table = '', 'Index Name': index = '', 'Rows Removed by Filter': removed = 0 } = node;
  const line = `${indent}${node['Node Type']} ${table} ${index}: ${node['Actual Rows']} rows, ${node['Actual Loops']} times, ${removed} thrown away`;
  return [line, ...(node.Plans ?? []).map((one) => outlineOf(one, `${indent}  `))].join('\n');
}
