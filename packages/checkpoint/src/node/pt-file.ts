/** Files of PyTorch's `torch.save` since 1.6: a zip with a pickle, and the storages of its tensors beside it. */
import { hostIsLittleEndian, reverseElements } from "../byte-order.js";
import { CheckpointError, quote } from "../errors.js";
import { byteLengthOf, carriers, type HostTensor } from "../host-tensor.js";
import { expectTensor, type OpenTensors } from "../tensor-reader.js";
import {
  elementsOfViews,
  needsCopy,
  parseTorchPickle,
  type StridedView,
  type TorchStorage,
  type TorchValue,
} from "../torch-pickle.js";
import { torchStateDict } from "../torch-state-dict.js";
import { type OpenFile, withFile, withPath } from "./file.js";
import { openZip, type Zip } from "./zip.js";

const corrupt = (message: string): CheckpointError => new CheckpointError("checkpoint-corrupt", `.pt: ${message}`);
const unsupported = (message: string): CheckpointError =>
  new CheckpointError("checkpoint-unsupported", `.pt: ${message}`);

/** That of sixty thousand tensors. */
const maxPickleBytes = 2 ** 24;

/** @throws CheckpointError for what is no zip: the file of an older PyTorch, or none of PyTorch's */
const expectZip = async (file: OpenFile): Promise<void> => {
  const head = new Uint8Array(Math.min(4, file.size));
  await file.read(0, head);
  const text = String.fromCharCode(...head);
  if (text.startsWith("PK")) return;
  // A pickle of protocol 2 begins so.
  if (text.startsWith("\x80\x02"))
    throw unsupported(
      "this is the format of PyTorch before 1.6, or a bare pickle; " +
        'in PyTorch: torch.save(torch.load("old.pt", map_location="cpu"), "new.pt")',
    );
  throw corrupt("this is no zip, as torch.save writes it");
};

interface PtArchive {
  readonly value: TorchValue;
  readonly views: ReadonlyMap<HostTensor, StridedView>;
  /** The bytes of a storage in the host's order. */
  readonly readStorage: (storage: TorchStorage, buffer?: ArrayBuffer) => Promise<Uint8Array>;
}

/** The one folder in which everything lies has any name. */
const rootOf = ({ sizes }: Zip): string => {
  const roots = [...sizes.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name)).map((name) => name.slice(0, -8));
  const [root] = roots;
  if (root === undefined || roots.length > 1)
    throw corrupt(`${roots.length} entries are called data.pkl, expected one, as torch.save writes it`);
  if (sizes.has(`${root}constants.pkl`))
    throw unsupported("a TorchScript archive holds code; save module.state_dict() instead");
  return root;
};

const readByteOrder = async (zip: Zip, root: string): Promise<"little" | "big"> => {
  const name = `${root}byteorder`;
  // Before PyTorch 2.1 it was not written, and always little on what machines there are.
  const size = zip.sizes.get(name);
  if (size === undefined) return "little";
  const text = size > 6 ? "" : String.fromCharCode(...(await zip.read(name)));
  if (text !== "little" && text !== "big") throw corrupt(`byteorder is ${quote(text)}, expected little or big`);
  return text;
};

const openArchive = async (file: OpenFile): Promise<PtArchive> => {
  await expectZip(file);
  const zip = await openZip(file);
  const root = rootOf(zip);
  const pickle = `${root}data.pkl`;
  if ((zip.sizes.get(pickle) as number) > maxPickleBytes)
    throw unsupported(`data.pkl has ${zip.sizes.get(pickle)} bytes, expected at most ${maxPickleBytes}`);
  const swapped = (await readByteOrder(zip, root)) !== (hostIsLittleEndian ? "little" : "big");
  const { value, views } = parseTorchPickle(await zip.read(pickle), file.size);

  for (const { storage } of views.values()) {
    const size = zip.sizes.get(`${root}data/${storage.key}`);
    if (size !== storage.byteLength)
      throw corrupt(
        `storage ${quote(storage.key)} has ${size === undefined ? "no entry" : `${size} bytes`}, expected ${storage.byteLength} bytes`,
      );
    if (swapped && storage.dtype === undefined)
      throw unsupported(`storage ${quote(storage.key)} is untyped, in the byte order of another machine`);
  }
  return {
    value,
    views,
    readStorage: async ({ key, dtype }, buffer) => {
      const bytes = await zip.read(`${root}data/${key}`, buffer);
      return swapped ? reverseElements(bytes, carriers[dtype ?? "U8"].BYTES_PER_ELEMENT) : bytes;
    },
  };
};

/** What tensors that are not contiguous may take in any file. */
const leastCopied = 2 ** 20;

/**
 * Reads a file of `torch.save`: a state dict, or a checkpoint with more around it. Nothing in it is run: dicts (as Map),
 * lists, tuples (as frozen arrays), text, bytes, numbers, booleans, None, dtypes and dense tensors are understood, and
 * any other class is refused by name. Tensors that share a storage share their elements here too; the others that are
 * contiguous are views of what was read. Memory is the file's size, and as much again at most (or 1 MiB) for tensors that
 * are not contiguous.
 *
 * @throws CheckpointError `checkpoint-missing`, `checkpoint-read`; `checkpoint-corrupt`, also for a wrong checksum;
 * `checkpoint-unsupported` for other classes, TorchScript, the format before PyTorch 1.6 (the message says how to
 * convert), compressed or encrypted archives, sparse, quantised and complex tensors, and where all that is not elements
 * would take more memory than 8 MiB and a quarter of the file
 */
export const loadPt = (path: string): Promise<TorchValue> =>
  withFile(
    path,
    async (file) => {
      const { value, views, readStorage } = await openArchive(file);
      const byStorage = new Map<TorchStorage, HostTensor[]>();
      let copied = 0;
      let read = 0;
      for (const [tensor, view] of views) {
        const { storage } = view;
        const sharing = byStorage.get(storage);
        if (sharing === undefined) {
          byStorage.set(storage, [tensor]);
          read += storage.byteLength;
        } else sharing.push(tensor);
        if (needsCopy(view)) copied += byteLengthOf(view.dtype, view.shape) as number;
      }
      if (copied > Math.max(read, leastCopied))
        throw unsupported(`its tensors have ${copied} bytes apart from their storages, which have ${read}`);
      for (const [storage, tensors] of byStorage) {
        const elements = elementsOfViews(
          tensors.map((tensor) => views.get(tensor) as StridedView),
          await readStorage(storage),
        );
        tensors.forEach((tensor, i) => {
          // The tensors are the parser's, made to be filled here.
          (tensor as { data: HostTensor["data"] }).data = elements[i] as HostTensor["data"];
        });
      }
      return value;
    },
    "always",
  );

export interface OpenPtOptions {
  /** Where in the checkpoint the state dict is: `"ema"`, or `["model", "ema"]`. Default: the only one there is. */
  readonly key?: string | readonly string[] | undefined;
}

/**
 * The state dict in a file of `torch.save`, its tensors read one by one: memory is that of the largest storage.
 * @throws as `loadPt` and `torchStateDict`
 */
export const openPt = (path: string, { key }: OpenPtOptions = {}): Promise<OpenTensors> =>
  withFile(
    path,
    async (file) => {
      const { value, views, readStorage } = await openArchive(file);
      const tensors = torchStateDict(value, key);
      const [seen, shared] = [new Set<TorchStorage>(), new Set<TorchStorage>()];
      for (const { storage } of views.values()) (seen.has(storage) ? shared : seen).add(storage);
      let last: { storage: TorchStorage; bytes: Uint8Array; buffer: ArrayBuffer | undefined } | undefined;
      return {
        tensors,
        read: async (name, buffer) => {
          const tensor = expectTensor("read", tensors, name);
          const view = views.get(tensor) as StridedView;
          return withPath(path, async () => {
            // Neighbours often share a storage, whose checksum is that of all its bytes.
            if (last?.storage !== view.storage || last.buffer !== buffer) {
              last = undefined;
              last = { storage: view.storage, bytes: await readStorage(view.storage, buffer), buffer };
            }
            const [elements] = elementsOfViews([view], last.bytes);
            // Without a buffer they are the caller's own.
            const copied = buffer === undefined && shared.has(view.storage) && !needsCopy(view);
            if (buffer === undefined && !shared.has(view.storage)) last = undefined;
            return {
              dtype: tensor.dtype,
              shape: tensor.shape,
              data: copied ? elements?.slice() : elements,
            } as HostTensor;
          });
        },
        close: file.close,
        [Symbol.asyncDispose]: file.close,
      };
    },
    "on-error",
  );
