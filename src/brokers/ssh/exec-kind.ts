/** What a command is, of those that carry files over their input and output. */
export type ExecKind =
  | { readonly program: 'scp'; readonly way: 'to target' | 'from target'; readonly path: string }
  | { readonly program: 'rsync'; readonly way: 'to target' | 'from target' }
  | { readonly program: 'git'; readonly way: 'to target' | 'from target'; readonly path: string }
  | { readonly program: 'sftp' }
  | { readonly program: 'other' };

const OTHER: ExecKind = { program: 'other' };
/** Beyond quotes they make more of a command than its first word says. */
const SHELL = /[;&|<>()$`\n\r#!\0]/;

/**
 * Recognises a command line by its first word and options. Only a plain one: where a shell would do anything else with it, it is
 * `other`. What it says is a hint for the reader; the output is recorded either way.
 */
export function execKind(command: string): ExecKind {
  const words = splitWords(command);
  const program = words?.[0]?.replace(/^.*\//, '');
  if (!words || program === undefined) return OTHER;
  const rest = words.slice(1);
  if (program === 'scp') return scp(rest);
  if (program === 'rsync' && rest[0] === '--server') return { program: 'rsync', way: rest.includes('--sender') ? 'from target' : 'to target' };
  if (program === 'sftp-server') return { program: 'sftp' };
  const [verb, path] = program === 'git' ? [`git-${rest[0] ?? ''}`, rest[1]] : [program, rest[0]];
  if (path === undefined) return OTHER;
  if (verb === 'git-receive-pack') return { program: 'git', way: 'to target', path };
  return verb === 'git-upload-pack' || verb === 'git-upload-archive' ? { program: 'git', way: 'from target', path } : OTHER;
}

/** `scp [-r] [-p] [-d] [-v] -t|-f [--] path`, as scp calls itself on the other side. */
function scp(words: readonly string[]): ExecKind {
  const end = words.findIndex((word) => !word.startsWith('-') || word === '--');
  if (end < 0) return OTHER;
  const options = words.slice(0, end).map((word) => word.slice(1)).join('');
  const paths = words.slice(words[end] === '--' ? end + 1 : end);
  const [to, from] = [options.includes('t'), options.includes('f')];
  if (to === from || paths.length === 0 || /[^dfprtvq]/.test(options)) return OTHER;
  return { program: 'scp', way: to ? 'to target' : 'from target', path: paths.join(' ') };
}

/** Words as a shell parts them, quotes and backslashes gone; `null` for what is more than words. */
function splitWords(command: string): readonly string[] | null {
  const words: string[] = [];
  let rest = command.trim();
  while (rest !== '') {
    let word = '';
    for (let part = takePart(rest); part !== null; part = takePart(rest)) {
      word += part.text;
      rest = rest.slice(part.length);
    }
    if (rest !== '' && !/^[ \t]/.test(rest)) return null;
    words.push(word);
    rest = rest.trimStart();
  }
  return words;
}

function takePart(text: string): { readonly text: string; readonly length: number } | null {
  const single = /^'([^']*)'/.exec(text);
  if (single) return { text: single[1] ?? '', length: single[0].length };
  const double = /^"([^"\\$`]*)"/.exec(text);
  if (double) return { text: double[1] ?? '', length: double[0].length };
  const escaped = /^\\([^\n])/.exec(text);
  if (escaped) return { text: escaped[1] ?? '', length: 2 };
  const plain = /^[^\s'"\\]+/.exec(text);
  if (!plain || SHELL.test(plain[0])) return null;
  return { text: plain[0], length: plain[0].length };
}
