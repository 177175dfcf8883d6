/**
 * The entries of an access list, to stand in a FROM; none for NULL. `aclexplode` unpacks the list that it is given once for every
 * entry, and PostgreSQL stores a list compressed from about 160 on: with 2,000 accounts one table took 16 ms (99 in PostgreSQL 18),
 * while everybody else waited for the access lists. The result of `||` is unpacked already: 1 ms.
 */
export function entriesOf(list: string): string {
  return `aclexplode(case when ${list} is not null then ${list} || '{}'::aclitem[] end)`;
}
