import type { PolicySet } from '#app/ports/policy.ts';
import { createPolicyEngine } from '#policy/cedar-engine.ts';
import { entitlement, ines, question } from '#test/worlds/policy-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { rounded, spread } from '../statistics.ts';

/** What larger places write: most policies say who may ask for what, some forbid, and each has conditions. */
const MANY = Array.from({ length: 98 }, (_, n) => (n % 7 === 0
  ? `@id("not-at-night-${n}")\nforbid (principal, action == Action::"request", resource == Entitlement::"system-${n}") when { context.durationSeconds > ${3600 + n} };`
  : `@id("team-${n}")\n@reason("team ${n} looks after system ${n}")\npermit (principal in Group::"team-${n}", action in [Action::"request", Action::"extend"], resource == Entitlement::"system-${n}") when { context.durationSeconds <= ${1800 + n} && context has ticket };`));

const TEXT = [
  '@id("developers")\n@reason("developers may ask for what there is in the shop")\npermit (principal in Group::"developers", action == Action::"request", resource) when { context.durationSeconds <= 3600 && context has ticket };',
  '@id("keepers")\npermit (principal in Group::"keepers", action == Action::"request", resource == Entitlement::"orders-read") when { context.durationSeconds <= 600 };',
  ...MANY,
].join('\n\n');

export const benchmark: Benchmark = {
  title: 'Decision at 100 policies',
  about:
    'One decision of the policy engine on a hundred published policies: a request that one of them permits, and one that none permits, which is then explained by the nearest permits and the conditions that they miss. The policies come as they do from the store, as a new object each time; they are parsed once. In one thread, without the store.',
  async run({ quick }) {
    const rounds = quick ? 300 : 5_000;
    const engine = createPolicyEngine();
    const fresh = (): PolicySet => ({ version: 1, sources: [{ file: 'all.cedar', text: Buffer.from(TEXT).toString() }] });
    const allow = question({ resource: entitlement('orders-read') });
    const deny = question({ resource: entitlement('orders-read'), principal: ines });
    const began = performance.now();
    engine.decide(fresh(), allow);
    const first = performance.now() - began;
    const explained = engine.decide(fresh(), deny);
    if (!engine.decide(fresh(), allow).allowed || explained.allowed || explained.nearest.length === 0) throw new Error('the questions are not answered as this benchmark means them');
    const took = { allow: [] as number[], deny: [] as number[] };
    for (let n = 0; n < rounds; n++) {
      for (const [name, asked] of [['allow', allow], ['deny', deny]] as const) {
        const set = fresh();
        const from = performance.now();
        engine.decide(set, asked);
        took[name].push(performance.now() - from);
      }
    }
    const [allowed, denied] = [spread(took.allow), spread(took.deny)];
    return {
      figures: [
        { what: 'allowed, p50', value: allowed.p50, unit: 'ms' },
        { what: 'allowed, p99', value: allowed.p99, unit: 'ms', aim: { atMost: 5 } },
        { what: 'denied and explained, p50', value: denied.p50, unit: 'ms' },
        { what: 'denied and explained, p99', value: denied.p99, unit: 'ms', aim: { atMost: 5 } },
        { what: 'the first, with loading and parsing', value: rounded(first), unit: 'ms' },
      ],
      details: { rounds, policies: 100, bytes: TEXT.length, nearest: explained.nearest },
    };
  },
};
