import { describeText, type TextFlag } from '#contract/free-text.ts';
import { NAME } from '#domain/principal.ts';
import { Refusal } from '#domain/refusal.ts';

/**
 * A name that people type and read - of a person, workload, group, target, entitlement - or a refusal that says what is
 * wrong with it. Names are plain ASCII by rule (attack A08): no look-alikes, nothing invisible, one spelling each. A name
 * that is almost right is not mended: two spellings of one name would be the very thing that is kept out.
 * @param field JSON pointer for the refusal
 * @throws Refusal `invalid_input`
 */
export function checkName(name: string, field: string): string {
  if (NAME.test(name)) return name;
  const { display, flags } = describeText(name.slice(0, 80));
  const [shown, why] = [display.replaceAll('\n', '\\n'), reason(name, flags)];
  throw new Refusal('invalid_input', `"${shown}" can't be a name: ${why}`, {
    field,
    hint: 'A name has 1 to 63 of a-z, 0-9, dot, dash and underscore, with a letter or digit at both ends. Other writing has its place in the title.',
  });
}

const REASONS: Readonly<Record<TextFlag, string>> = {
  bidi: 'it holds characters that turn the direction of reading',
  invisible: 'it holds characters that can not be seen',
  mixed_script: 'it mixes letters of different scripts that look alike',
  control: 'it holds control characters',
  compatibility: 'it holds characters that stand for others',
  non_ascii: 'it holds letters outside a-z',
};

function reason(name: string, flags: readonly TextFlag[]): string {
  const worst = (Object.keys(REASONS) as TextFlag[]).find((flag) => flags.includes(flag));
  if (worst) return REASONS[worst];
  if (name === '') return 'it is empty';
  if (name.length > 63) return 'it is longer than 63 characters';
  if (/[A-Z]/.test(name)) return 'it holds capital letters';
  if (!/^[a-z0-9._-]*$/.test(name)) return 'it holds a space or another sign that does not belong there';
  return 'it begins or ends with a dot, a dash or an underscore';
}
