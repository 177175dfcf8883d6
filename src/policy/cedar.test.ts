import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { policySet, question } from '#test/worlds/policy-world.ts';
import { createPolicyEngine } from './cedar-engine.ts';

it('the WebAssembly is loaded by the first decision, not by importing or making an engine', () => {
  const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('cedar-wasm'));
  const engine = createPolicyEngine();
  assert.equal(loaded(), false);
  engine.decide(policySet('permit(principal, action, resource);'), question());
  assert.equal(loaded(), true);
});
