/** PostgreSQL's name of an encoding as the Encoding standard knows it; UTF-8, with replacement characters, for the rest. */
export function webEncoding(name: string): string {
  const plain = name.toUpperCase().replaceAll('_', '');
  const latin = /^LATIN(\d+)$/.exec(plain);
  const iso = /^ISO8859(\d+)$/.exec(plain);
  const windows = /^WIN(\d+)$/.exec(plain);
  const guess =
    latin ? `iso-8859-${LATIN[Number(latin[1])] ?? 1}`
    : iso ? `iso-8859-${iso[1]}`
    : windows ? `windows-${windows[1]}`
    : (OTHERS[plain] ?? 'utf-8');
  try {
    return new TextDecoder(guess).encoding;
  } catch {
    return 'utf-8';
  }
}

const LATIN: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 9, 6: 10, 7: 13, 8: 14, 9: 15, 10: 16 };
const OTHERS: Readonly<Record<string, string>> = {
  EUCJP: 'euc-jp', EUCKR: 'euc-kr', EUCCN: 'gb2312', SJIS: 'shift_jis', BIG5: 'big5', GBK: 'gbk', GB18030: 'gb18030', UHC: 'euc-kr',
  KOI8R: 'koi8-r', KOI8U: 'koi8-u',
};
