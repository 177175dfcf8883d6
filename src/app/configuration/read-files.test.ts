import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFiles } from './read-files.ts';

test("a folder's administrators are refused, since nobody would ask them", () => {
  const { findings } = readFiles([{ path: 'a.yaml', text: 'folders:\n  shop:\n    title: The shop\n    administrators: dba\n' }]);
  assert.deepEqual(findings.map(({ code, message, line }) => [code, message, line]), [
    ['invalid_value', 'folders.shop.administrators is "dba"; folders have no administrators of their own yet: take it out', 4],
  ]);
  assert.deepEqual(readFiles([{ path: 'a.yaml', text: 'folders: { shop: { title: The shop } }' }]).findings, []);
});
