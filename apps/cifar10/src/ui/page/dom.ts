/** A few lines that make elements; a framework would be more than the page. */

type Child = Node | string | null | undefined | false;

type Properties<K extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[K], "style" | "dataset" | "classList" | "children">
>;

export const element = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties<K> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] => {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  append(made, children);
  return made;
};

const append = (parent: Element, children: readonly Child[]): void => {
  for (const child of children) if (child !== null && child !== undefined && child !== false) parent.append(child);
};

/** Puts `children` in the place of what is there. */
export const fill = (parent: Element, ...children: readonly Child[]): void => {
  parent.replaceChildren();
  append(parent, children);
};

/** Only where it changes: a text that is set anew loses what somebody has selected in it. */
export const setText = (target: Element, text: string): void => {
  if (target.textContent !== text) target.textContent = text;
};

/** The colour of a custom property as it comes out in the present theme, for canvases. */
export const themeColor = (name: string): string => {
  const probe = element("span", { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
};
