import { parse, stringify } from 'yaml';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { demoFiles } from '#main/demo/world.ts';

/** Names of the people that `crowd` adds. */
export const crowdNames = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => `dev-${n + 1}`);

/**
 * The demonstration's world with more developers: a person holds at most 50 grants, and policy lets each developer read
 * orders for half an hour without a reviewer.
 */
export function crowd(targetPort: number, count: number): readonly SourceFile[] {
  return demoFiles(targetPort).map((file) => {
    if (file.path !== 'world.yaml') return file;
    const world = parse(file.text) as { people: Record<string, unknown>; groups: { developers: { members: string[] } } };
    for (const name of crowdNames(count)) {
      world.people[name] = { name: `Developer ${name}` };
      world.groups.developers.members.push(name);
    }
    return { path: file.path, text: stringify(world) };
  });
}
