/**
 * A reader of Python pickles that hold plain data. Pickle is a program for a stack machine that can call anything; this
 * machine has the opcodes that build values, and knows the few names that its caller lists. Nothing is ever imported.
 */
import { CheckpointError, type CheckpointErrorCode, quote } from "./errors.js";
import { memoryAccount, memoryFor } from "./memory.js";

/** A listed name as a value, such as `torch.float32`: a text, not the thing. */
export class PickledName {
  constructor(readonly name: string) {}
}

/** `True` and `1` are two keys here and one in Python. */
export type PickledKey = string | number | bigint | boolean | null;

/**
 * A tuple is a frozen array, a list an array that is not. A number stands for float and for int; bigint for an int that
 * is no safe integer. `Uint8Array` is bytes, and Python 2's str; as keys these are strings. `X` is what the caller's
 * rules make. Values may contain themselves.
 */
export type Pickled<X = never> =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Pickled<X>[]
  | Map<PickledKey, Pickled<X>>
  | PickledName
  | X;

/** The error for a message, with the place in the pickle. Default code: `checkpoint-corrupt`. */
export type PickleFailure = (message: string, code?: CheckpointErrorCode) => CheckpointError;

/** From the arguments of a call to its value. */
export type PickleCall<X> = (args: readonly Pickled<X>[], fail: PickleFailure) => Pickled<X>;

/** What the names in a pickle mean. The functions get what the pickle holds, and have to check it. */
export interface PickleRules<X> {
  /** By `module.name`. A name without a function may be a value, but not be called. All others are refused. */
  readonly names: ReadonlyMap<string, PickleCall<X> | undefined>;
  /** Gives `target` the state of `__setstate__`. Without: refused. */
  readonly build?: (target: Pickled<X>, state: Pickled<X>, fail: PickleFailure) => void;
  /** The object that lies outside the pickle under a persistent id. Without: refused. */
  readonly persistent?: (id: Pickled<X>, fail: PickleFailure) => Pickled<X>;
}

const mark = Symbol("mark");
type Item<X> = Pickled<X> | typeof mark;

/** What an object takes in JavaScript engines, in bytes, about; the arrays and tables that grow included. */
const cost = {
  dict: 200,
  entry: 72,
  list: 190,
  /** Of a list, as it grows, and of the memo. */
  element: 16,
  tuple: 48,
  member: 8,
  /** A place on the stack, and a float in it. */
  place: 44,
  view: 120,
  text: 40,
  name: 100,
  /** Whatever a rule makes. */
  made: 160,
};

const maxByteKey = 256;
const maxNameBytes = 256;

const latin1 = (bytes: Uint8Array): string => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
};

/** Little-endian two's complement. */
const toInteger = (bytes: Uint8Array): number | bigint => {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).reverse();
  const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex.join("") || "0"}`));
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
};

/** Python's pickle machine (Lib/pickletools.py): a stack, a memo, one function an opcode. */
class Machine<X> {
  private readonly view: DataView;
  private at = 0;
  /** Where the opcode that is being run begins, and its name once it is known: for messages. */
  private begin = 0;
  private opcode: Opcode | undefined;
  private readonly charge: (bytes: number) => void;
  private highest = 0;
  private readonly stack: Item<X>[] = [];
  /** Python numbers what it remembers from 0; other writers leave gaps. */
  private readonly memo: Pickled<X>[] = [];
  private readonly beyondGap = new Map<number, Pickled<X>>();
  private result: { readonly value: Pickled<X> } | undefined;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly rules: PickleRules<X>,
    memory: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.charge = memoryAccount(memory, () =>
      this.fail(`takes more memory than ${memory} bytes, which no checkpoint does`, "checkpoint-unsupported"),
    );
  }

  run(): Pickled<X> {
    while (this.result === undefined) {
      this.begin = this.at;
      this.opcode = undefined;
      const code = this.uint8();
      this.opcode = opcodes[code];
      if (this.opcode === undefined)
        throw this.fail(`opcode 0x${code.toString(16).padStart(2, "0")} is not plain data`, "checkpoint-unsupported");
      this.opcode.run(this as Machine<unknown>);
    }
    return this.result.value;
  }

  readonly fail: PickleFailure = (message, code = "checkpoint-corrupt") =>
    new CheckpointError(
      code,
      `pickle: ${this.opcode === undefined ? "" : `${this.opcode.name} at `}byte ${this.begin}: ${message}`,
    );

  /** Where the next `length` bytes begin; goes on behind them. */
  private skip(length: number): number {
    if (length > this.bytes.length - this.at)
      throw this.fail(`${length} bytes announced, ${this.bytes.length - this.at} left`);
    this.at += length;
    return this.at - length;
  }
  take(length: number): Uint8Array {
    const begin = this.skip(length);
    return this.bytes.subarray(begin, begin + length);
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
  float64(): number {
    return this.view.getFloat64(this.skip(8));
  }
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0 || end - this.at > maxNameBytes) throw this.fail("name has no end");
    const text = latin1(this.take(end - this.at));
    this.at++;
    return text;
  }

  push(item: Item<X>): void {
    this.stack.push(item);
    if (this.stack.length <= this.highest) return;
    this.highest++;
    this.charge(cost.place);
  }
  pushObject(item: Pickled<X>, bytes: number): void {
    this.charge(bytes);
    this.push(item);
  }
  pushView(bytes: Uint8Array): void {
    this.pushObject(bytes, cost.view);
  }
  pushInteger(bytes: Uint8Array): void {
    this.pushObject(toInteger(bytes), cost.text + bytes.length);
  }
  pop(): Pickled<X> {
    const item = this.stack.pop();
    if (item === undefined || item === mark) throw this.fail("stack is empty");
    return item;
  }
  top(): Pickled<X> {
    const item = this.stack.at(-1);
    if (item === undefined || item === mark) throw this.fail("stack is empty");
    return item;
  }
  popToMark(): Pickled<X>[] {
    const begin = this.stack.lastIndexOf(mark);
    if (begin < 0) throw this.fail("no mark");
    // Behind the last mark there are only items.
    const items = this.stack.splice(begin + 1) as Pickled<X>[];
    this.stack.pop();
    return items;
  }
  popMany(count: number): Pickled<X>[] {
    const items = new Array<Pickled<X>>(count);
    for (let i = count - 1; i >= 0; i--) items[i] = this.pop();
    return items;
  }
  pushTuple(items: readonly Pickled<X>[]): void {
    this.pushObject(Object.freeze(items), cost.tuple + items.length * cost.member);
  }
  remember(index: number = this.memo.length + this.beyondGap.size): void {
    const item = this.top();
    if (index <= this.memo.length) {
      this.charge(cost.element);
      this.memo[index] = item;
    } else {
      this.charge(cost.entry);
      this.beyondGap.set(index, item);
    }
  }
  recall(index: number): void {
    const item = index < this.memo.length ? this.memo[index] : this.beyondGap.get(index);
    if (item === undefined) throw this.fail(`memo ${index} is asked for before it is set`);
    this.push(item);
  }

  expectProtocol(protocol: number): void {
    if (protocol < 2 || protocol > 4)
      throw this.fail(`protocol ${protocol}, expected 2 to 4`, "checkpoint-unsupported");
  }
  stop(): void {
    this.result = { value: this.pop() };
  }
  pushText(bytes: Uint8Array): void {
    this.charge(cost.text + 2 * bytes.length);
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw this.fail("text is not UTF-8");
    }
    this.push(text);
  }
  popTwoStrings(): [string, string] {
    const [first, second] = this.popMany(2);
    if (typeof first !== "string" || typeof second !== "string") throw this.fail("name is no text");
    return [first, second];
  }
  pushName(module: string, name: string): void {
    const full = `${module}.${name}`;
    if (!this.rules.names.has(full))
      throw this.fail(`${quote(full)} is not plain data, and is not looked up`, "checkpoint-unsupported");
    this.pushObject(new PickledName(full), cost.name);
  }
  setItems(pairs: readonly Pickled<X>[]): void {
    const target = this.top();
    if (!(target instanceof Map)) throw this.fail("items are set on something that is no dict");
    if (pairs.length % 2 !== 0) throw this.fail("key without value");
    for (let i = 0; i < pairs.length; i += 2) {
      this.charge(cost.entry);
      target.set(this.keyOf(pairs[i] as Pickled<X>), pairs[i + 1] as Pickled<X>);
    }
  }
  private keyOf(key: Pickled<X>): PickledKey {
    // Each use of the key makes the text anew.
    if (key instanceof Uint8Array && key.length <= maxByteKey) {
      this.charge(cost.text + key.length);
      return latin1(key);
    }
    if (key === null || (typeof key !== "object" && typeof key !== "function")) return key as PickledKey;
    throw this.fail("dict key is neither text nor number nor short bytes", "checkpoint-unsupported");
  }
  append(items: readonly Pickled<X>[]): void {
    const target = this.top();
    if (!Array.isArray(target) || Object.isFrozen(target))
      throw this.fail("items are appended to something that is no list");
    this.charge(items.length * cost.element);
    for (const item of items) target.push(item);
  }
  reduce(): void {
    const [callee, args] = this.popMany(2);
    if (!(callee instanceof PickledName)) throw this.fail("call of something that is no name");
    if (!Array.isArray(args) || !Object.isFrozen(args)) throw this.fail("arguments of a call are no tuple");
    const call = this.rules.names.get(callee.name);
    if (call === undefined) throw this.fail(`${callee.name} is called, expected it as a value only`);
    const made = call(args, this.fail);
    this.pushObject(made, made instanceof Map ? cost.dict : cost.made + (made instanceof Uint8Array ? made.length : 0));
  }
  build(): void {
    const state = this.pop();
    const target = this.top();
    if (this.rules.build === undefined) throw this.fail("a state is given to an object");
    this.rules.build(target, state, this.fail);
  }
  loadPersistent(): void {
    const id = this.pop();
    if (this.rules.persistent === undefined) throw this.fail("refers to something outside the pickle");
    this.pushObject(this.rules.persistent(id, this.fail), cost.made);
  }
}

interface Opcode {
  readonly name: string;
  readonly run: (machine: Machine<unknown>) => void;
}

const tableOf = (entries: readonly (readonly [number, Opcode])[]): readonly (Opcode | undefined)[] => {
  const table = new Array<Opcode | undefined>(256).fill(undefined);
  for (const [code, opcode] of entries) table[code] = opcode;
  return table;
};

/** The opcodes of protocols 2 to 4 that plain data needs, as Python's pickletools names them. */
const opcodes: readonly (Opcode | undefined)[] = /* @__PURE__ */ tableOf([
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
  [0x8a, { name: "LONG1", run: (m) => m.pushInteger(m.take(m.uint8())) }],
  [0x47, { name: "BINFLOAT", run: (m) => m.push(m.float64()) }],
  [0x55, { name: "SHORT_BINSTRING", run: (m) => m.pushView(m.take(m.uint8())) }],
  // The length is signed in Python; a negative one is longer than any file here.
  [0x54, { name: "BINSTRING", run: (m) => m.pushView(m.take(m.uint32())) }],
  [0x43, { name: "SHORT_BINBYTES", run: (m) => m.pushView(m.take(m.uint8())) }],
  [0x42, { name: "BINBYTES", run: (m) => m.pushView(m.take(m.uint32())) }],
  [0x8c, { name: "SHORT_BINUNICODE", run: (m) => m.pushText(m.take(m.uint8())) }],
  [0x58, { name: "BINUNICODE", run: (m) => m.pushText(m.take(m.uint32())) }],
  [0x7d, { name: "EMPTY_DICT", run: (m) => m.pushObject(new Map(), cost.dict) }],
  [0x5d, { name: "EMPTY_LIST", run: (m) => m.pushObject([], cost.list) }],
  [0x29, { name: "EMPTY_TUPLE", run: (m) => m.pushTuple([]) }],
  [0x85, { name: "TUPLE1", run: (m) => m.pushTuple(m.popMany(1)) }],
  [0x86, { name: "TUPLE2", run: (m) => m.pushTuple(m.popMany(2)) }],
  [0x87, { name: "TUPLE3", run: (m) => m.pushTuple(m.popMany(3)) }],
  [0x74, { name: "TUPLE", run: (m) => m.pushTuple(m.popToMark()) }],
  [0x73, { name: "SETITEM", run: (m) => m.setItems(m.popMany(2)) }],
  [0x75, { name: "SETITEMS", run: (m) => m.setItems(m.popToMark()) }],
  [0x61, { name: "APPEND", run: (m) => m.append(m.popMany(1)) }],
  [0x65, { name: "APPENDS", run: (m) => m.append(m.popToMark()) }],
  [0x71, { name: "BINPUT", run: (m) => m.remember(m.uint8()) }],
  [0x72, { name: "LONG_BINPUT", run: (m) => m.remember(m.uint32()) }],
  [0x94, { name: "MEMOIZE", run: (m) => m.remember() }],
  [0x68, { name: "BINGET", run: (m) => m.recall(m.uint8()) }],
  [0x6a, { name: "LONG_BINGET", run: (m) => m.recall(m.uint32()) }],
  [0x63, { name: "GLOBAL", run: (m) => m.pushName(m.line(), m.line()) }],
  [0x93, { name: "STACK_GLOBAL", run: (m) => m.pushName(...m.popTwoStrings()) }],
  [0x51, { name: "BINPERSID", run: (m) => m.loadPersistent() }],
  [0x52, { name: "REDUCE", run: (m) => m.reduce() }],
  [0x62, { name: "BUILD", run: (m) => m.build() }],
]);

/**
 * Reads a pickle of protocol 2 to 4 that holds nothing but dict, list, tuple, str, bytes, int (up to 255 bytes), float,
 * bool, None and what `rules` name. Bytes are views of `bytes`. No name is looked up and nothing is called but `rules`.
 * @param memory bytes that the objects may take together; default 8 MiB and a quarter of the pickle
 * @throws CheckpointError `checkpoint-unsupported` for any other opcode or name or more memory, `checkpoint-corrupt`
 */
export const parsePickle = <X = never>(
  bytes: Uint8Array,
  rules: PickleRules<X>,
  { memory = memoryFor(bytes.length) }: { readonly memory?: number | undefined } = {},
): Pickled<X> => new Machine(bytes, rules, memory).run();
