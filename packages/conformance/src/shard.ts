/** One of `count` shares of the suite, `index` from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

const isShard = ({ index, count }: Shard): boolean =>
  Number.isSafeInteger(index) && Number.isSafeInteger(count) && 1 <= index && index <= count;

/** FNV-1a over the UTF-16 units, with the final mix of MurmurHash3: the low bits depend on every unit. */
const hash = (id: string): number => {
  let h = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** Which ids belong to a shard: a matter of the id alone, so no case moves when others are added. @throws TypeError */
export const inShard = (shard: Shard): ((id: string) => boolean) => {
  const { index, count } = shard;
  if (!isShard(shard)) throw new TypeError(`shard ${index}/${count}: expected integers i/n with 1 <= i <= n`);
  return (id) => hash(id) % count === index - 1;
};

/** As on the command line: `2/8`. @throws TypeError */
export const parseShard = (text: string): Shard => {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (!isShard(shard)) throw new TypeError(`shard ${JSON.stringify(text)}: expected i/n with 1 <= i <= n`);
  return shard;
};
