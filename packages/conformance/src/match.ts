/** A pattern over case ids: `*` stands for any text; without one the pattern is looked for anywhere in the id. */
export const matcher = (pattern: string): ((id: string) => boolean) => {
  if (!pattern.includes("*")) return (id) => id.includes(pattern);
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`);
  return (id) => expression.test(id);
};
