import { meets, type Figure } from './benchmark.ts';

export const number = (value: number): string => (Number.isFinite(value) ? value.toLocaleString('en', { maximumFractionDigits: 3 }) : 'none');

const unitOf = ({ unit }: Figure) => (unit === 'ratio' ? '' : unit.startsWith('/') ? unit : ` ${unit}`);

export const shown = (figure: Figure): string => number(figure.value) + unitOf(figure);

export function aimOf(figure: Figure): string {
  if (figure.aim === undefined) return '';
  return 'atMost' in figure.aim ? `<= ${number(figure.aim.atMost)}${unitOf(figure)}` : `>= ${number(figure.aim.atLeast)}${unitOf(figure)}`;
}

/** One line for each figure, in columns, with what it was to reach. */
export function figureLines(figures: readonly Figure[]): string {
  const width = Math.max(...figures.map(({ what }) => what.length));
  const values = Math.max(...figures.map((figure) => shown(figure).length));
  return figures
    .map((figure) => {
      const held = meets(figure);
      const aim = held === null ? '' : `   aim ${aimOf(figure)}: ${held ? 'met' : 'NOT met'}`;
      return `  ${figure.what.padEnd(width)}  ${shown(figure).padStart(values)}${aim}`;
    })
    .join('\n');
}
