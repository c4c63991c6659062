/** A pattern over case ids, looked for anywhere in the id; `*` stands for any text. */
export const matcher = (pattern: string): ((id: string) => boolean) => {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(parts.join(".*"));
  return (id) => expression.test(id);
};
