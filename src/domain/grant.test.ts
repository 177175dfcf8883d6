import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { objectName } from './grant.ts';
import { makeId } from './id.ts';

const grant = fc.tuple(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uint8Array({ minLength: 10, maxLength: 10 })).map(([at, random]) => makeId('grant', at, random));
const ordinal = fc.integer({ min: 0, max: 999 });

test('property: the name of what is made on a target tells the grant and the part, and suits every target', () => {
  fc.assert(fc.property(grant, ordinal, grant, ordinal, (one, n, other, m) => {
    const name = objectName(one, n);
    assert.match(name, /^brevet_[0-9a-z]{26}(?:_[1-9][0-9]*)?$/);
    assert.ok(name.length <= 63);
    assert.equal(name, objectName(one, n), 'the same at every attempt');
    assert.equal(name === objectName(other, m), one === other && n === m);
  }));
});
