/** A file put together by hand: the length of the header, the header (text or bytes), the data. */
export const fileOf = (header: string | Uint8Array, data: ArrayLike<number> = []): Uint8Array => {
  const text = typeof header === "string" ? Buffer.from(header, "utf8") : header;
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
};
