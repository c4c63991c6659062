import { DataError } from "../errors.js";

/** The three names of numpy that an array's pickle is made of. They are markers here: nothing is imported or called. */
type Global = "reconstruct" | "ndarray" | "dtype";

const globals: ReadonlyMap<string, Global> = new Map([
  ["numpy.core.multiarray _reconstruct", "reconstruct"],
  ["numpy._core.multiarray _reconstruct", "reconstruct"],
  ["numpy ndarray", "ndarray"],
  ["numpy dtype", "dtype"],
]);

class GlobalMarker {
  constructor(readonly global: Global) {}
}
class DTypeMarker {}
const mark = Symbol("mark");

export class PickledTuple {
  constructor(readonly items: readonly Pickled[]) {}
}

/** A numpy array of uint8, row-major. */
export class PickledArray {
  /** Empty until BUILD gives shape and data. */
  shape: readonly number[] = [];
  data: Uint8Array = new Uint8Array(0);
}

/**
 * What a pickle of plain data may hold. `Uint8Array` stands for bytes and for Python 2's str, Map for dict (keys
 * decoded to strings). A caller takes what it expects by type and refuses the rest, the markers included.
 */
export type Pickled =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Pickled[]
  | Map<string, Pickled>
  | PickledTuple
  | PickledArray
  | GlobalMarker
  | DTypeMarker;

type Item = Pickled | typeof mark;

const latin1 = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

interface Opcode {
  readonly name: string;
  readonly run: (machine: Machine) => void;
}

/** Python's pickle machine (Lib/pickletools.py): a stack, a memo, one function an opcode. */
class Machine {
  private readonly view: DataView;
  private at = 0;
  /** The opcode that is being run, for messages. */
  private place = "";
  private readonly stack: Item[] = [];
  private readonly memo = new Map<number, Pickled>();
  private result: Pickled | undefined;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Pickled {
    while (this.result === undefined) {
      this.place = `byte ${this.at}`;
      const code = this.uint8();
      const opcode = opcodes.get(code);
      if (opcode === undefined) throw this.corrupt(`opcode 0x${code.toString(16).padStart(2, "0")} is not plain data`);
      this.place = `${opcode.name} at ${this.place}`;
      opcode.run(this);
    }
    return this.result;
  }

  corrupt(message: string): DataError {
    return new DataError("data-corrupt", `pickle: ${this.place}: ${message}`);
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at)
      throw this.corrupt(`${length} bytes announced, ${this.bytes.length - this.at} left`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  private skip(length: number): number {
    return this.take(length).byteOffset - this.bytes.byteOffset;
  }
  uint8(): number {
    return this.view.getUint8(this.skip(1));
  }
  uint16(): number {
    return this.view.getUint16(this.skip(2), true);
  }
  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }
  int32(): number {
    return this.view.getInt32(this.skip(4), true);
  }
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw this.corrupt("line has no end");
    const text = latin1(this.take(end - this.at));
    this.at++;
    return text;
  }

  push(item: Item): void {
    this.stack.push(item);
  }
  pop(): Pickled {
    const item = this.stack.pop();
    if (item === undefined || item === mark) throw this.corrupt("stack is empty");
    return item;
  }
  top(): Pickled {
    const item = this.stack.at(-1);
    if (item === undefined || item === mark) throw this.corrupt("stack is empty");
    return item;
  }
  popToMark(): Pickled[] {
    const begin = this.stack.lastIndexOf(mark);
    if (begin < 0) throw this.corrupt("no mark");
    // Behind the last mark there are only items.
    const items = this.stack.splice(begin + 1) as Pickled[];
    this.stack.pop();
    return items;
  }
  popMany(count: number): Pickled[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }
  remember(index: number = this.memo.size): void {
    this.memo.set(index, this.top());
  }
  recall(index: number): void {
    const item = this.memo.get(index);
    if (item === undefined) throw this.corrupt(`memo ${index} is asked for before it is set`);
    this.push(item);
  }

  expectProtocol(protocol: number): void {
    if (protocol < 2 || protocol > 4) throw this.corrupt(`protocol ${protocol}, expected 2 to 4`);
  }
  stop(): void {
    this.result = this.pop();
  }
  pushText(bytes: Uint8Array): void {
    try {
      this.push(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      throw this.corrupt("text is not UTF-8");
    }
  }
  popTwoStrings(): [string, string] {
    const [first, second] = this.popMany(2);
    if (typeof first !== "string" || typeof second !== "string") throw this.corrupt("name is no text");
    return [first, second];
  }
  pushGlobal(module: string, name: string): void {
    const global = globals.get(`${module} ${name}`);
    if (global === undefined) throw this.corrupt(`${module}.${name} is not plain data`);
    this.push(new GlobalMarker(global));
  }
  setItems(pairs: readonly Pickled[]): void {
    const target = this.top();
    if (!(target instanceof Map)) throw this.corrupt("items are set on something that is no dict");
    if (pairs.length % 2 !== 0) throw this.corrupt("key without value");
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i];
      if (typeof key !== "string" && !(key instanceof Uint8Array))
        throw this.corrupt("dict key is neither str nor bytes");
      target.set(typeof key === "string" ? key : latin1(key), pairs[i + 1] as Pickled);
    }
  }
  append(items: readonly Pickled[]): void {
    const target = this.top();
    if (!Array.isArray(target)) throw this.corrupt("items are appended to something that is no list");
    for (const item of items) target.push(item);
  }
  reduce(): void {
    const [callee, args] = this.popMany(2);
    if (!(callee instanceof GlobalMarker) || !(args instanceof PickledTuple))
      throw this.corrupt("call of something that is no part of an array");
    const [first] = args.items;
    if (callee.global === "reconstruct" && first instanceof GlobalMarker && first.global === "ndarray")
      this.push(new PickledArray());
    else if (callee.global === "dtype") {
      const name = first instanceof Uint8Array ? latin1(first) : first;
      if (name !== "u1") throw this.corrupt(`array of dtype ${String(name)}, expected u1`);
      this.push(new DTypeMarker());
    } else throw this.corrupt("call is not how an array is made");
  }
  build(): void {
    const state = this.pop();
    const target = this.top();
    if (!(state instanceof PickledTuple)) throw this.corrupt("state is no tuple");
    // A dtype's state (byte order and the like) says nothing about bytes.
    if (target instanceof DTypeMarker) return;
    if (!(target instanceof PickledArray)) throw this.corrupt("state for something that is no array");
    const [, shape, dtype, fortranOrder, data] = state.items;
    if (!(shape instanceof PickledTuple) || !(dtype instanceof DTypeMarker) || !(data instanceof Uint8Array))
      throw this.corrupt("state of the array is not (version, shape, dtype, order, bytes)");
    if (fortranOrder !== false) throw this.corrupt("array is in Fortran order, expected C order");
    const dimensions = shape.items.map((n) => {
      if (typeof n !== "number" || n < 0) throw this.corrupt(`array has dimension ${String(n)}`);
      return n;
    });
    const size = dimensions.reduce((a, b) => a * b, 1);
    if (size !== data.length) throw this.corrupt(`array of ${dimensions.join(" x ")} has ${data.length} bytes`);
    target.shape = dimensions;
    target.data = data;
  }
}

/** The opcodes of protocols 2 to 4 that plain data needs, as Python's pickletools names them. */
const opcodes: ReadonlyMap<number, Opcode> = new Map<number, Opcode>([
  [0x80, { name: "PROTO", run: (m) => m.expectProtocol(m.uint8()) }],
  // How much follows: a hint for readers that read in pieces.
  [0x95, { name: "FRAME", run: (m) => m.take(8) }],
  [0x2e, { name: "STOP", run: (m) => m.stop() }],
  [0x28, { name: "MARK", run: (m) => m.push(mark) }],
  [0x4e, { name: "NONE", run: (m) => m.push(null) }],
  [0x88, { name: "NEWTRUE", run: (m) => m.push(true) }],
  [0x89, { name: "NEWFALSE", run: (m) => m.push(false) }],
  [0x4a, { name: "BININT", run: (m) => m.push(m.int32()) }],
  [0x4b, { name: "BININT1", run: (m) => m.push(m.uint8()) }],
  [0x4d, { name: "BININT2", run: (m) => m.push(m.uint16()) }],
  [0x55, { name: "SHORT_BINSTRING", run: (m) => m.push(m.take(m.uint8())) }],
  // The length is signed in Python; a negative one is longer than any file here.
  [0x54, { name: "BINSTRING", run: (m) => m.push(m.take(m.uint32())) }],
  [0x43, { name: "SHORT_BINBYTES", run: (m) => m.push(m.take(m.uint8())) }],
  [0x42, { name: "BINBYTES", run: (m) => m.push(m.take(m.uint32())) }],
  [0x8c, { name: "SHORT_BINUNICODE", run: (m) => m.pushText(m.take(m.uint8())) }],
  [0x58, { name: "BINUNICODE", run: (m) => m.pushText(m.take(m.uint32())) }],
  [0x7d, { name: "EMPTY_DICT", run: (m) => m.push(new Map()) }],
  [0x5d, { name: "EMPTY_LIST", run: (m) => m.push([]) }],
  [0x29, { name: "EMPTY_TUPLE", run: (m) => m.push(new PickledTuple([])) }],
  [0x85, { name: "TUPLE1", run: (m) => m.push(new PickledTuple(m.popMany(1))) }],
  [0x86, { name: "TUPLE2", run: (m) => m.push(new PickledTuple(m.popMany(2))) }],
  [0x87, { name: "TUPLE3", run: (m) => m.push(new PickledTuple(m.popMany(3))) }],
  [0x74, { name: "TUPLE", run: (m) => m.push(new PickledTuple(m.popToMark())) }],
  [0x73, { name: "SETITEM", run: (m) => m.setItems(m.popMany(2)) }],
  [0x75, { name: "SETITEMS", run: (m) => m.setItems(m.popToMark()) }],
  [0x61, { name: "APPEND", run: (m) => m.append(m.popMany(1)) }],
  [0x65, { name: "APPENDS", run: (m) => m.append(m.popToMark()) }],
  [0x71, { name: "BINPUT", run: (m) => m.remember(m.uint8()) }],
  [0x72, { name: "LONG_BINPUT", run: (m) => m.remember(m.uint32()) }],
  [0x94, { name: "MEMOIZE", run: (m) => m.remember() }],
  [0x68, { name: "BINGET", run: (m) => m.recall(m.uint8()) }],
  [0x6a, { name: "LONG_BINGET", run: (m) => m.recall(m.uint32()) }],
  [0x63, { name: "GLOBAL", run: (m) => m.pushGlobal(m.line(), m.line()) }],
  [0x93, { name: "STACK_GLOBAL", run: (m) => m.pushGlobal(...m.popTwoStrings()) }],
  [0x52, { name: "REDUCE", run: (m) => m.reduce() }],
  [0x62, { name: "BUILD", run: (m) => m.build() }],
]);

/**
 * Reads a pickle of protocol 2 to 4 that holds nothing but dict, list, tuple, str, bytes, int, bool, None and uint8
 * arrays. No name is looked up and nothing is called; any other opcode or name is an error.
 * @throws DataError (data-corrupt)
 */
export const parsePickle = (bytes: Uint8Array): Pickled => new Machine(bytes).run();
