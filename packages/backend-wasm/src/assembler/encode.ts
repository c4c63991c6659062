/** A growing list of bytes: the code of a function, or a section. */
export type Bytes = number[];

/** LEB128, unsigned (WebAssembly core specification 2.0, section 5.2.2). `value` may be up to 2^53. */
export const writeUnsigned = (out: Bytes, value: number): void => {
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
};

/** LEB128, signed, of an int32. */
export const writeSigned = (out: Bytes, value: number): void => {
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return;
  }
};

const scratch = new DataView(new ArrayBuffer(8));

export const writeFloat32 = (out: Bytes, value: number): void => {
  scratch.setFloat32(0, value, true);
  for (let i = 0; i < 4; i++) out.push(scratch.getUint8(i));
};

export const writeFloat64 = (out: Bytes, value: number): void => {
  scratch.setFloat64(0, value, true);
  for (let i = 0; i < 8; i++) out.push(scratch.getUint8(i));
};

/** A name: its length in bytes, then UTF-8; only ASCII is used here. */
export const writeName = (out: Bytes, name: string): void => {
  writeUnsigned(out, name.length);
  for (let i = 0; i < name.length; i++) out.push(name.charCodeAt(i));
};
