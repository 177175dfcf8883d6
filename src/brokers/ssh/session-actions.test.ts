import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRules } from './mask-rules.ts';
import { readRecording } from './recording.ts';
import { SshRecordingWriter } from './recording-writer.ts';
import { SessionActions } from './session-actions.ts';

test('what was done in a session is one list, whatever it was done by', () => {
  const writer = new SshRecordingWriter({ rules: readRules([]) });
  const at = (now: number) => writer.tick(now);
  writer.opened(0, 'shell', { pty: { term: 'xterm', cols: 80, rows: 24 } });
  writer.output(0, Buffer.from('$ '), 'out');
  at(10);
  writer.input(0, Buffer.from('i'));
  writer.output(0, Buffer.from('id'), 'out');
  writer.input(0, Buffer.from('\r'));
  at(11);
  writer.output(0, Buffer.from('\r\nuid=0\r\n$ '), 'out');
  writer.opened(1, 'exec', { command: 'uptime' });
  at(30);
  writer.exit(1, 1, null);
  writer.closed(1, 0, 0);
  writer.opened(2, 'refused', { type: 'x11' });
  writer.opened(3, 'sftp', {});
  writer.sftp(3, { op: 'rename', path: '/a', to: '/b', outcome: 'ok' });
  writer.opened(4, 'forward', { host: 'db.example', port: 5432 });
  writer.opened(5, 'exec', { command: 'sleep 9' });
  writer.exit(5, null, 'TERM');
  writer.closed(5, 0, 0);
  at(40);
  writer.end('deadline');
  const actions = new SessionActions();
  const done = [...[...readRecording([writer.take(true)])].flatMap((event) => actions.push(event)), ...actions.end()];
  assert.deepEqual(done, [
    { at: 10, channel: 0, kind: 'entered', text: 'id', outcome: '', durationMs: null },
    { at: 11, channel: 1, kind: 'exec', text: 'uptime', outcome: 'exit 1', durationMs: 19 },
    { at: 30, channel: 2, kind: 'refused', text: 'type=x11', outcome: 'refused', durationMs: null },
    { at: 30, channel: 3, kind: 'file', text: 'rename /a -> /b', outcome: 'ok', durationMs: null },
    { at: 30, channel: 5, kind: 'exec', text: 'sleep 9', outcome: 'signal TERM', durationMs: 0 },
    { at: 30, channel: 4, kind: 'forward', text: 'host=db.example port=5432', outcome: 'running', durationMs: 10 },
  ]);
});
