import { brevetWorld } from '#test/worlds/brevet-world.ts';
const t0=performance.now();
const world = await brevetWorld();
console.log('world', performance.now()-t0);
const g = await world.grant('ada','orders-write',{seconds:6,approvers:['kim']});
console.log(g.parts, performance.now()-t0);
await world[Symbol.asyncDispose]();
console.log('end');
