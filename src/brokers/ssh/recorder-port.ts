import type { JsonObject } from '#domain/json.ts';
import type { ChunkWriter } from '../carried/recorder.ts';

export type ChannelKind = 'shell' | 'exec' | 'sftp' | 'forward' | 'listen' | 'refused';

/** What an SSH session writes its recording into. `channel` is a number that a session uses once. */
export interface SshRecording extends ChunkWriter {
  /** Milliseconds since the session began; what follows happened now. */
  tick(now: number): void;
  header(header: JsonObject): void;
  opened(channel: number, kind: ChannelKind, detail: JsonObject): void;
  output(channel: number, bytes: Uint8Array, stream: 'out' | 'err'): void;
  input(channel: number, bytes: Uint8Array): void;
  resize(channel: number, cols: number, rows: number): void;
  signal(channel: number, name: string): void;
  exit(channel: number, code: number | null, signal: string | null): void;
  sftp(channel: number, event: JsonObject): void;
  closed(channel: number, bytesIn: number, bytesOut: number): void;
  end(reason: string): void;
}

/** A recording as JSON lines: bytes in base64, of what was typed only how many. */
export class JsonLinesRecording implements SshRecording {
  #lines: string[] = [];
  #now = 0;
  size = 0;
  events = 0;

  tick(now: number): void {
    this.#now = now;
  }

  header(header: JsonObject): void {
    this.#write('header', null, header);
  }

  opened(channel: number, kind: ChannelKind, detail: JsonObject): void {
    this.events += 1;
    this.#write('opened', channel, { kind, ...detail });
  }

  output(channel: number, bytes: Uint8Array, stream: 'out' | 'err'): void {
    this.#write('output', channel, { stream, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') });
  }

  input(channel: number, bytes: Uint8Array): void {
    this.#write('input', channel, { count: bytes.length });
  }

  resize(channel: number, cols: number, rows: number): void {
    this.#write('resize', channel, { cols, rows });
  }

  signal(channel: number, name: string): void {
    this.#write('signal', channel, { name });
  }

  exit(channel: number, code: number | null, signal: string | null): void {
    this.#write('exit', channel, { code, signal });
  }

  sftp(channel: number, event: JsonObject): void {
    this.events += 1;
    this.#write('sftp', channel, event);
  }

  closed(channel: number, bytesIn: number, bytesOut: number): void {
    this.#write('closed', channel, { bytesIn, bytesOut });
  }

  end(reason: string): void {
    this.#write('end', null, { reason });
  }

  take(): Uint8Array {
    const bytes = Buffer.from(this.#lines.join(''));
    this.#lines = [];
    this.size = 0;
    this.events = 0;
    return bytes;
  }

  #write(what: string, channel: number | null, detail: JsonObject): void {
    const line = `${JSON.stringify({ at: Math.round(this.#now * 1000), what, channel, ...detail })}\n`;
    this.#lines.push(line);
    this.size += line.length;
  }
}
