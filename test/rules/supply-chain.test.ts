import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read } from '#test/worlds/repository.ts';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
}

const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> };
const dependencies = Object.entries(packages).filter(([path]) => path !== '');

test('H04 every dependency is pinned by a hash, and all come from one place', () => {
  assert.ok(dependencies.length > 20);
  const origins = new Set<string>();
  for (const [path, { integrity, resolved, link, version }] of dependencies) {
    assert.match(integrity ?? '', /^sha512-[A-Za-z0-9+/]{86}==$/, `${path} has no hash that counts`);
    assert.ok(link !== true && version !== undefined && /^\d+\.\d+\.\d+/.test(version), `${path} is no published version`);
    if (resolved !== undefined) origins.add(new URL(resolved).origin);
  }
  assert.ok(origins.size <= 1 && [...origins].every((origin) => origin.startsWith('https://')), `several origins: ${[...origins].join(', ')}`);
});

test('H04 no dependency may run a script when it is installed, and none is wanted in a range', () => {
  assert.match(read('.npmrc'), /^ignore-scripts=true$/m);
  const { scripts, dependencies: wanted, devDependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']) assert.equal(scripts?.[name], undefined, name);
  for (const [name, version] of Object.entries({ ...wanted, ...devDependencies, ...optionalDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+(?:-[\w.]+)?$/, `${name} is not pinned`);
    assert.equal(packages[`node_modules/${name}`]?.version, version, `${name} in the lockfile`);
  }
  // What the launcher installs is what the lockfile says, and nothing it finds better.
  assert.match(read('bin/install.mjs'), /\['ci', /);
});
