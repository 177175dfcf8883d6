/** What the twin needs of time: the simulator's, or the real one when the contract suite runs. */
export interface Clockwork {
  /** The store's own clock, whole milliseconds since 1970. */
  now(): number;
  /** One trip to the store and back: whoever awaits it may find the world changed. */
  step(what: string): Promise<void>;
  /** Something that comes by itself, such as a notification. */
  later(what: string, run: () => void): void;
}
