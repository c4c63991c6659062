import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { formatSummary, lenet5Of1998, type ModelEntry, modelNames, models, summary } from "./index.js";

const file = fileURLToPath(new URL("../../../docs/models.md", import.meta.url));

const millions = (n: number): string => {
  const [value, unit] = n < 1e9 ? [n / 1e6, "M"] : [n / 1e9, "G"];
  return `${value.toPrecision(3)} ${unit}`;
};

const networkTable = (): string => {
  const rows = modelNames.map((name) => {
    const { layer, input, paper, about, torchvision }: ModelEntry = models[name];
    const { parameters, multiplyAdds } = summary(layer(), input);
    const counts = [parameters.toLocaleString("en-US"), millions(multiplyAdds)];
    return [`\`${name}\``, about, paper, input.join("x"), ...counts, torchvision ? "yes" : ""];
  });
  return [
    "| name | what it is | paper | input | parameters | multiply-adds | torchvision's |",
    "|---|---|---|---|---|---|---|",
    ...rows.map((cells) => `| ${cells.join(" | ")} |`),
  ].join("\n");
};

const parts = {
  networks: networkTable,
  summary: () => ["```", formatSummary(summary(lenet5Of1998(), [1, 32, 32])), "```"].join("\n"),
} as const;

/** The document with what stands between the marks written anew. */
const rewritten = (text: string): string =>
  Object.entries(parts).reduce((document, [name, write]) => {
    const marks = new RegExp(`(<!-- ${name}: [^\n]* -->\n)[^]*?(<!-- end -->)`);
    expect(document).toMatch(marks);
    return document.replace(marks, (_, begin: string, end: string) => `${begin}\n${write()}\n\n${end}`);
  }, text);

test("docs/models.md says what the code says", async () => {
  await expect(rewritten(readFileSync(file, "utf8"))).toMatchFileSnapshot(file);
});
