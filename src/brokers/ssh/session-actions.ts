import type { JsonObject } from '#domain/json.ts';
import { BadRecording } from './bad-recording.ts';
import { EnteredCommands } from './entered-commands.ts';
import type { SshEvent } from './recording.ts';
import type { ChannelKind } from './recording-format.ts';

/** One thing that was done in a session. Texts are as they were: whoever shows them makes them harmless. */
export interface SessionAction {
  /** When it was begun, in milliseconds since the session was. */
  readonly at: number;
  readonly channel: number;
  readonly kind: 'entered' | 'file' | Exclude<ChannelKind, 'shell' | 'sftp'>;
  readonly text: string;
  /** `exit 0`, `signal TERM`, a server's word on a file; `running` where it goes on, empty where nothing is known. */
  readonly outcome: string;
  readonly durationMs: number | null;
}

interface OpenChannel {
  readonly at: number;
  readonly kind: SessionAction['kind'] | null;
  readonly text: string;
  readonly entered: EnteredCommands | null;
  outcome: string;
}

const MOST_OPEN = 10_000;

/** What was done in a session, from its events: lines that were entered, commands, files, forwarded ports, and what was refused. */
export class SessionActions {
  readonly #open = new Map<number, OpenChannel>();
  #now = 0;

  /** What is complete with this event. */
  push(event: SshEvent): readonly SessionAction[] {
    this.#now = event.at;
    if (!('channel' in event)) return [];
    const { at, channel } = event;
    if (event.type === 'opened') return this.#opened(event);
    if (event.type === 'file') return [{ at, channel, kind: 'file', text: fileText(event.event), outcome: String(event.event['outcome'] ?? ''), durationMs: null }];
    const open = this.#open.get(channel);
    if (!open) return [];
    if (event.type === 'exit') open.outcome = event.code === null ? `signal ${event.signal ?? ''}` : `exit ${event.code}`;
    if (event.type === 'closed') {
      this.#open.delete(channel);
      return this.#action(channel, open, open.outcome);
    }
    return (open.entered?.push(event) ?? []).map(({ at, command }) => ({ at, channel, kind: 'entered', text: command, outcome: '', durationMs: null }));
  }

  /** What was open when the recording ended. */
  end(): readonly SessionAction[] {
    return [...this.#open].flatMap(([channel, open]) => this.#action(channel, open, open.outcome || 'running'));
  }

  #opened(event: Extract<SshEvent, { type: 'opened' }>): readonly SessionAction[] {
    const { at, channel, kind, detail } = event;
    const text = kind === 'exec' ? String(detail['command'] ?? '') : wordsOf(detail);
    if (kind === 'refused') return [{ at, channel, kind, text, outcome: 'refused', durationMs: null }];
    if (this.#open.size >= MOST_OPEN) throw new BadRecording('too many channels are open at once');
    const entered = kind === 'shell' || (kind === 'exec' && detail['pty']) ? new EnteredCommands() : null;
    entered?.push(event);
    this.#open.set(channel, { at, kind: kind === 'shell' || kind === 'sftp' ? null : kind, text, entered, outcome: '' });
    return [];
  }

  #action(channel: number, { at, kind, text }: OpenChannel, outcome: string): readonly SessionAction[] {
    return kind === null ? [] : [{ at, channel, kind, text, outcome, durationMs: this.#now - at }];
  }
}

function fileText(event: JsonObject): string {
  const [from, to] = [event['path'] ?? event['from'] ?? event['name'] ?? event['why'] ?? event['said'], event['to']];
  return [event['op'], from, ...(to === undefined ? [] : ['->', to])].filter((word) => word !== undefined).map(String).join(' ');
}

/** `host=db.example port=5432`. */
function wordsOf(detail: JsonObject): string {
  return Object.entries(detail).filter(([, value]) => typeof value !== 'object').map(([name, value]) => `${name}=${String(value)}`).join(' ');
}
