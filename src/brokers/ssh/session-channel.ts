import type { ClientChannel, PseudoTtyInfo, PseudoTtyOptions, ServerChannel, Session } from 'ssh2';
import type { JsonObject } from '#domain/json.ts';
import { readCommand, readSftp, type FileReading } from './file-reading.ts';
import type { Flow } from './relay.ts';
import type { Track, Tracks } from './tracks.ts';

/** What a program on the target may be told of the client's surroundings: how its texts are to be written. */
const ENVIRONMENT = /^(?:LANG|LC_[A-Z]{1,20}|TERM)$/;
const ENVIRONMENT_VALUE = /^[\w.@:/+-]{0,100}$/;
const TERMINAL = /^[\w.+-]{1,64}$/;
const LARGEST_TERMINAL = 10_000;
/** RFC 4254, section 6.9, without those that would leave a core file behind. */
const SIGNALS = ['HUP', 'INT', 'KILL', 'QUIT', 'TERM', 'USR1', 'USR2'];
/** At a cut a program has this long between being asked to end and being ended. */
const MERCY_MS = 150;
/** What OpenSSH's client answers for a connection that failed. */
const EXIT_FAILED = 255;

type Kind = 'shell' | 'exec' | 'sftp';
type Opened = (error: Error | undefined, channel: ClientChannel) => void;
type Terminal = Required<Pick<PseudoTtyOptions, 'term' | 'cols' | 'rows' | 'width' | 'height' | 'modes'>>;

/** One session channel of the client's: from its requests to a program on the target, and to the program's end. */
export class SessionChannel implements Track {
  readonly #tracks: Tracks;
  readonly #stopWaiting: () => void;
  #number = -1;
  #terminal: Terminal | null = null;
  readonly #env: Record<string, string> = {};
  #near: ServerChannel | null = null;
  #far: ClientChannel | null = null;
  #flows: Flow[] = [];
  #files: FileReading | null = null;
  #exit: { readonly code: number | null; readonly signal: string | null } | null = null;
  #farClosed = false;
  #over = false;

  constructor(tracks: Tracks) {
    this.#tracks = tracks;
    this.#stopWaiting = tracks.wait();
  }

  serve(session: Session): void {
    this.#beforeStart(session);
    this.#start(session);
    session.on('window-change', (accept, reject, { cols, rows, width, height }) => {
      if (!this.#resize({ cols, rows, width, height })) return reject?.();
      accept?.();
    });
    session.on('signal', (accept, reject, { name }) => {
      if (!SIGNALS.includes(name) || !this.#far) return reject?.();
      this.#tracks.record((recording) => recording.signal(this.#number, name));
      this.#far.signal(name);
      accept?.();
    });
    session.on('close', () => {
      this.#stopWaiting();
      this.#clientClosed();
    });
  }

  #beforeStart(session: Session): void {
    const refuse = (what: string) => (_: unknown, reject?: () => void) => {
      this.#tracks.refused(what);
      reject?.();
    };
    session.on('auth-agent', refuse('agent forwarding'));
    session.on('x11', refuse('X11 forwarding'));
    session.on('pty', (accept, reject, info) => {
      if (!this.#tracks.allows.pty) return refuse('a terminal')(accept, reject);
      if (this.#near) return reject?.();
      this.#terminal = readTerminal(info);
      accept?.();
    });
    session.on('env', (accept, reject, { key, val }: { key: string; val: string }) => {
      if (this.#near || !ENVIRONMENT.test(key) || !ENVIRONMENT_VALUE.test(val) || Object.keys(this.#env).length > 32) return reject?.();
      this.#env[key] = val;
      accept?.();
    });
  }

  #start(session: Session): void {
    const { permits, target } = this.#tracks;
    const run = (kind: Kind, permitted: boolean, detail: JsonObject, accept: () => ServerChannel | undefined, reject: (() => void) | undefined, open: (opened: Opened) => void) => {
      if (!permitted) {
        this.#tracks.refused(kind, detail);
        return reject?.();
      }
      // At once: when the client's end of file comes first, ssh2 starts nothing any more.
      const near = accept();
      if (near) this.#run(kind, detail, near, open);
    };
    const pty = () => this.#terminal ?? false;
    session.on('shell', (accept, reject) =>
      run('shell', permits.shell, {}, accept, reject, (opened) => target.client.shell(pty() as PseudoTtyOptions | false, { env: this.#env }, opened)));
    session.on('exec', (accept, reject, { command }) =>
      run('exec', permits.exec, { command }, accept, reject, (opened) => target.client.exec(command, this.#terminal ? { env: this.#env, pty: this.#terminal } : { env: this.#env }, opened)));
    session.on('subsystem', (accept, reject, { name }) => {
      if (name === 'sftp') return run('sftp', permits.sftp, {}, accept, reject, (opened) => target.client.subsys(name, opened));
      this.#tracks.refused('subsystem', { name });
      reject?.();
    });
  }

  #run(kind: Kind, detail: JsonObject, near: ServerChannel, open: (opened: Opened) => void): void {
    this.#stopWaiting();
    this.#near = near;
    this.#number = this.#tracks.open(this);
    const pty = this.#terminal && { term: this.#terminal.term, cols: this.#terminal.cols, rows: this.#terminal.rows };
    this.#tracks.record((recording) => recording.opened(this.#number, kind, { ...detail, ...(pty ? { pty } : {}), env: { ...this.#env } }));
    near.on('error', () => undefined);
    try {
      open((error, far) => {
        if (!error) return this.#opened(kind, String(detail['command'] ?? ''), near, far);
        near.stderr.write('Brevet: the target does not start it\r\n');
        this.#exit = { code: EXIT_FAILED, signal: null };
        this.#finish();
      });
    } catch {
      // The connection to the target has just gone: the session ends with it.
    }
  }

  #opened(kind: Kind, command: string, near: ServerChannel, far: ClientChannel): void {
    this.#far = far;
    if (this.#over) return this.#endFar(false);
    const number = this.#number;
    const tracks = this.#tracks;
    far.on('error', () => undefined);
    far.on('exit', (code: number | null, signal?: string) => {
      this.#exit = { code, signal: signal?.replace(/^SIG/, '') ?? null };
    });
    far.on('close', () => {
      this.#farClosed = true;
      this.#maybeFinish();
    });
    const emit = (event: JsonObject) => tracks.record((recording) => recording.sftp(number, event));
    const files = kind === 'sftp' ? readSftp(emit) : kind === 'exec' ? readCommand(command, emit) : null;
    this.#files = files;
    const input = (bytes: Buffer) => {
      files?.fromClient(bytes);
      if (kind !== 'sftp') tracks.record((recording) => recording.input(number, bytes));
      this.#demandReadable();
    };
    const output = (stream: 'out' | 'err') => (bytes: Buffer) => {
      if (stream === 'out') files?.fromTarget(bytes);
      if (kind !== 'sftp' || stream === 'err') tracks.record((recording) => recording.output(number, bytes, stream));
      this.#demandReadable();
    };
    this.#flows = [
      tracks.fromClient(near, far, input, () => far.eof()),
      tracks.toClient(far, near, output('out'), () => this.#maybeFinish()),
      tracks.toClient(far.stderr, near.stderr, output('err'), () => this.#maybeFinish()),
    ];
  }

  /** What can't be read can't be recorded: it does not pass, and the channel ends. */
  #demandReadable(): void {
    const why = this.#files?.broken;
    if (!why || this.#over) return;
    this.#tracks.refused('sftp', { why });
    this.close(false, `Brevet: ${why}\r\n`);
  }

  /** The program has ended, and the client has all that it said. */
  #maybeFinish(): void {
    const [, out, err] = this.#flows;
    if (this.#farClosed && out?.ended && err?.ended) this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    const near = this.#near as ServerChannel;
    this.#tellExit(near);
    this.#settle();
    near.eof();
    near.close();
  }

  #tellExit(near: ServerChannel): void {
    if (!this.#exit) return;
    const { code, signal } = this.#exit;
    this.#tracks.record((recording) => recording.exit(this.#number, code, signal));
    try {
      if (code !== null) near.exit(code);
      else near.exit(signal ?? '');
    } catch {
      near.exit(EXIT_FAILED); // a signal that ssh2 does not know
    }
  }

  /** Counts it out: nothing passes any more. */
  #settle(): void {
    this.#over = true;
    for (const flow of this.#flows) flow.stop();
    this.#tracks.forget(this.#flows);
    this.#files?.end();
    const [input, out, err] = this.#flows;
    this.#tracks.closed(this.#number, input?.bytes ?? 0, (out?.bytes ?? 0) + (err?.bytes ?? 0));
  }

  #clientClosed(): void {
    if (this.#over || !this.#near) return;
    this.#settle();
    this.#endFar(false);
  }

  /** A disconnect does not end a program that has no terminal: it is told. At a cut it has no choice. */
  #endFar(cut: boolean): void {
    const far = this.#far;
    if (!far || this.#farClosed) return;
    far.signal('HUP');
    if (!cut) return far.close();
    far.signal('TERM');
    setTimeout(() => {
      far.signal('KILL');
      far.close();
    }, MERCY_MS);
  }

  #resize(size: Pick<Terminal, 'cols' | 'rows' | 'width' | 'height'>): boolean {
    if (!this.#terminal) return false;
    const { cols, rows, width, height } = bounded(size);
    this.#terminal = { ...this.#terminal, cols, rows, width, height };
    if (this.#near) this.#tracks.record((recording) => recording.resize(this.#number, cols, rows));
    this.#far?.setWindow(rows, cols, height, width);
    return true;
  }

  say(text: string): void {
    if (this.#terminal) this.#near?.stderr.write(text);
  }

  close(cut: boolean, text: string | null): void {
    if (this.#over) return;
    const near = this.#near as ServerChannel;
    this.#settle();
    if (text !== null) near.stderr.write(text);
    near.exit(EXIT_FAILED);
    near.eof();
    near.close();
    this.#endFar(cut);
  }
}

function readTerminal({ term, modes, ...size }: PseudoTtyInfo): Terminal {
  return { term: TERMINAL.test(term) ? term : 'dumb', modes, ...bounded(size) };
}

function bounded({ cols, rows, width, height }: Pick<Terminal, 'cols' | 'rows' | 'width' | 'height'>): Pick<Terminal, 'cols' | 'rows' | 'width' | 'height'> {
  const within = (value: number) => Math.min(value, LARGEST_TERMINAL);
  return { cols: within(cols), rows: within(rows), width: within(width), height: within(height) };
}
