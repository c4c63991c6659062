import type { CellView, UiRequest } from "../protocol.js";

/** @throws Error with what the server says, or the browser where there is none */
export const send = async (request: UiRequest): Promise<void> => {
  const response = await fetch("request", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  if (!response.ok) throw new Error(await response.text());
};

/** @throws as `send` */
export const fetchCell = async (label: number, predicted: number): Promise<CellView> => {
  const response = await fetch(`cell/${label}/${predicted}`);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
};
