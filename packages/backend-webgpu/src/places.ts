/**
 * Which buffer an output gets. A loop makes and frees the same tensors in every round; if they get the same buffers as in
 * the round before, every bind group is there already. Rounds are what lies between two reads.
 *
 * A place is one output of one dispatch in the round. What it makes is either gone when the round ends: then the buffers
 * come from the pool, by preference the one that it had before. Since a round's frees and allocations are always the same,
 * that one is free again. Or it stays (a parameter's new value, a loss that is read later): then its old value is still
 * needed while the new one is made, and two buffers take turns that nobody else gets.
 */
import { capacityFor, type Pool, type PooledBuffer } from "./pool.js";

export interface Place {
  /** What it had the last time, while it takes from the pool. */
  usual: PooledBuffer | null;
  /** Whether what it makes outlives the round. */
  stays: boolean;
  /** Its own buffers that are not in use, if it stays. */
  readonly spare: PooledBuffer[];
  /** The last round in which it was used. */
  span: number;
}

/** The places of one op's outputs of one size, in the order of the round. */
interface Series {
  span: number;
  uses: number;
  readonly places: Place[];
}

/** A storage, as far as places see it. */
interface Filled {
  buffer: PooledBuffer | null;
  readonly bytes: number;
}

export interface Places {
  /** Gives `storage` a buffer of the pool, as the next output of `op`. */
  fill(op: string, storage: Filled, pool: Pool): void;
  release(buffer: PooledBuffer): void;
  endSpan(): void;
}

/** Places of a series, and outputs of a round, that are remembered: without reads, rounds never end. */
const MAX_PLACES = 4096;
const MAX_WATCHED = 65_536;
/** Bytes of a buffer that is better made than shared. */
const SMALL = 16_384;
/** Rounds after which a place that was not used any more gives up its spare buffers. */
const PATIENCE = 64;

export const createPlaces = (isValid: (buffer: GPUBuffer) => boolean): Places => {
  let span = 0;
  let watched: { readonly place: Place; readonly storage: Filled }[] = [];

  const series = new Map<string, Series>();

  const placeOf = (op: string, capacity: number, pool: Pool): Place => {
    const key = `${pool.name} ${op} ${capacity}`;
    const known = series.get(key) ?? { span, uses: 0, places: [] };
    series.set(key, known);
    if (known.span !== span) {
      known.span = span;
      known.uses = 0;
    }
    const use = known.uses++ % MAX_PLACES;
    const place = known.places[use] ?? { usual: null, stays: false, spare: [], span };
    known.places[use] = place;
    place.span = span;
    return place;
  };

  /** Whether no place will look for it in this round or the next. */
  const isFree = ({ guest }: PooledBuffer): boolean => !guest || guest.span < span - 1;

  const own = (place: Place, bytes: number, pool: Pool): PooledBuffer => {
    const buffer = pool.take(bytes, isFree);
    buffer.owner = place;
    return buffer;
  };

  const disown = (buffer: PooledBuffer): void => {
    buffer.owner = null;
    buffer.pool.release(buffer);
  };

  /** Work that is over must not keep memory. */
  const sweep = (): void => {
    for (const [key, { span: last, places }] of series) {
      if (last >= span - PATIENCE) continue;
      for (const { spare } of places) for (const buffer of spare) disown(buffer);
      series.delete(key);
    }
  };

  const bufferFor = (place: Place, bytes: number, pool: Pool): PooledBuffer => {
    if (place.stays) return place.spare.pop() ?? own(place, bytes, pool);
    const { usual } = place;
    if (usual && usual.slot >= 0) {
      pool.claim(usual);
      return usual;
    }
    // Small buffers are cheap: rather a new one than one that another place will look for.
    const buffer = pool.take(bytes, bytes <= SMALL ? isFree : undefined);
    buffer.guest = place;
    place.usual = buffer;
    return buffer;
  };

  return {
    fill: (op, storage, pool) => {
      const place = placeOf(op, capacityFor(storage.bytes), pool);
      storage.buffer = bufferFor(place, storage.bytes, pool);
      if (!place.stays && watched.length < MAX_WATCHED) watched.push({ place, storage });
    },
    release: (buffer) => {
      const { owner } = buffer;
      if (!isValid(buffer.gpu)) buffer.pool.discard(buffer);
      else if (owner && owner.span >= span - 1) owner.spare.push(buffer);
      else disown(buffer);
    },
    endSpan: () => {
      for (const { place, storage } of watched) {
        if (!storage.buffer || place.stays) continue;
        place.stays = true;
        place.usual = null;
        const { buffer, bytes } = storage;
        buffer.owner = place;
        // Its partner, now rather than in the next round: every round after the next is like the one two before it.
        place.spare.push(own(place, bytes, buffer.pool));
      }
      watched = [];
      span++;
      if (span % PATIENCE === 0) sweep();
    },
  };
};
