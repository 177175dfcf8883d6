/** How many requests of one principal may wait in this world: few, so that the quota is met often. */
export const PENDING_LIMIT = 6;
