import type { Id, IdKind } from '#domain/id.ts';

/** Randomness and ids, handed in by main: the simulator hands in its own. */
export interface Random {
  bytes(count: number): Uint8Array;
}

export type NewId = <K extends IdKind>(kind: K, now: Date) => Id<K>;

/** A logger for operators: structured, never with secrets. */
export interface Journal {
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
  error(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** A monotonic clock in milliseconds, and sleeping on it. A sleep that is aborted resolves early. */
export interface Monotonic {
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Processes that must not outlive this one: how each is ended at once, when there is no time left to end it in order. */
export type Children = Set<() => Promise<void>>;
