import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Shell } from '../shell.ts';

/** Each command path (`policy lint`) with the words that may follow it. */
type Words = readonly (readonly [path: string, words: readonly string[]])[];

const WRITERS: Readonly<Record<string, (words: Words) => string>> = { bash, zsh, fish };

export function addCompletion(shell: Shell): void {
  shell.leaf(shell.program, {
    use: 'completion <shell>',
    about: 'Print a completion script for bash, zsh or fish',
    examples: ['source <(brevet completion bash)', 'brevet completion zsh > ~/.zfunc/_brevet', 'brevet completion fish > ~/.config/fish/completions/brevet.fish'],
    act: async (run, [name = '']) => {
      const write = Object.hasOwn(WRITERS, name) ? WRITERS[name] : undefined;
      if (!write) throw new Failure(EXIT.usage, `there is no completion for "${name}"`, 'There is one for bash, zsh and fish.');
      run.print(write(collect(shell.program, '')));
    },
  });
}

function collect(command: Command, path: string): Words {
  const subcommands = command.commands.map((each) => each.name());
  const options = command.options.map((option) => option.long ?? '').filter((long) => long !== '');
  const own = [path, [...subcommands, ...options, '--help']] as const;
  return [own, ...command.commands.flatMap((each) => collect(each, path === '' ? each.name() : `${path} ${each.name()}`))];
}

/** The path is the longest row of the table that the words before the cursor begin with. */
function bash(words: Words): string {
  const cases = words.map(([path, each]) => `    '${path}') words='${each.join(' ')}' ;;`);
  return `# brevet completion for bash
_brevet() {
  local path='' word words cur="\${COMP_WORDS[COMP_CWORD]}" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case " ${words.map(([path]) => path.replaceAll(' ', '/')).filter(Boolean).join(' ')} " in
      *" \${path:+$path/}$word "*) path="\${path:+$path/}$word" ;;
    esac
  done
  case "\${path//\\// }" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _brevet brevet`;
}

function zsh(words: Words): string {
  return `#compdef brevet
autoload -U +X bashcompinit && bashcompinit
${bash(words)}`;
}

function fish(words: Words): string {
  const lines = words.flatMap(([path, each]) => {
    const seen = path === '' ? '__fish_use_subcommand' : path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const plain = each.filter((word) => !word.startsWith('-'));
    return [
      ...(plain.length > 0 ? [`complete -c brevet -f -n '${seen}' -a '${plain.join(' ')}'`] : []),
      ...each.filter((word) => word.startsWith('--')).map((word) => `complete -c brevet -n '${seen}' -l ${word.slice(2)}`),
    ];
  });
  return ['# brevet completion for fish', ...lines].join('\n');
}
