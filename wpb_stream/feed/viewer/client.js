// A client of wpb's feed, protocol wpb.v1, for browsers and Node, without dependencies. The viewer uses it as anybody may: docs/how-to/browser.md.

/**
 * One dimension of a scan. `start` and `stop` are the positions of the first and last point, in `units`.
 * @typedef {{name: string, units: string | null, start: number | null, stop: number | null, snaking: boolean}} Axis
 */
/** @typedef {{name: string, label: string, units: string, colour: string | null, region: Record<string, unknown> | null}} Channel */
/** `lost`: no stop document came. @typedef {"running" | "success" | "abort" | "fail" | "lost"} Status */
/**
 * The task of blueapi that a run is part of: the state of its worker, and the motors that are on their way.
 * @typedef {{task: string, state: string, failed?: boolean,
 *   moving?: {name: string, current: number | null, target: number, units: string | null}[]}} Plan
 */
/**
 * A run, as the server describes it. `shape` and `axes` have the slow axis first, and are empty where there is nothing to draw; `metadata` is the
 * start document without its large values; times are ISO 8601.
 * @typedef {{uid: string, scan_id: number | null, plan_name: string | null, status: Status, started: string | null,
 *   stopped: string | null, recipe: string | null, shape: number[], axes: Axis[], channels: Channel[],
 *   arrays: string[], points_expected: number | null, rows: number, metadata: Record<string, unknown>, plan?: Plan}} Run
 */

/** @typedef {Float64Array | Float32Array | Uint32Array | Int32Array | Uint16Array | Int16Array | Uint8Array | Int8Array} Column */
/**
 * The next rows, each a point of the scan. Columns have length `rows` and are views of the received message: `point` is its number in the scan,
 * `cell` its index into the flattened shape, then comes one column a channel, by the channel's name. `arrived` is when the document came that
 * announced the last row, seconds since 1970 by the server's clock; null where that is not known.
 * @typedef {{firstRow: number, rows: number, pointsExpected: number | null, columns: Map<string, Column>, arrived: number | null}} Block
 */
/**
 * An array, of which the latest version counts: a detector's frame, or what is accumulated over a run. Its values are a view of the received
 * message, in C order. A frame that was made smaller has the rows and columns that it had before as `fullShape`.
 * @typedef {{name: string, shape: number[], values: Column, fullShape?: number[]}} ArrayBlock
 */
/**
 * A run that is being made again: whoever watches it is told by `revised` once the new revision, named `dagsterRun`, is there.
 * @typedef {{run: string, dagsterRun: string, link: string}} Reprocessing
 */
/** A plan of blueapi, and the task that it was begun as; null if it was not. @typedef {{run: string, plan: string, params: Record<string, unknown>, task: string | null}} Task */
/**
 * What the server says of itself and of this client: scopes of the token, Dagster's web server, where one is known, and whether plans can be
 * run again.
 * @typedef {{scopes: string[], dagster: string | null, blueapi: boolean}} Welcomed
 */
/** A run with all its rows, in blocks that follow each other. @typedef {{run: Run, revision: string, rows: number, blocks: Block[], arrays: Map<string, ArrayBlock>}} Fetched */

/**
 * What becomes of a connection: `waiting` and `connecting` alternate until it is back; `unauthenticated` lasts until `reopen()`, `refused` and
 * `closed` for good.
 * @typedef {"connecting" | "connected" | "waiting" | "unauthenticated" | "refused" | "closed"} ConnectionState
 */
/**
 * @typedef {object} FeedOptions
 * @property {string | (() => string)} [token] shown to a server that wants one; a function is asked at each connection
 * @property {new (url: URL, protocol: string) => Socket} [WebSocket] where there is none, as in Node before 22: that of the package `ws`, say
 * @property {(state: ConnectionState, sentence: string) => void} [connection] the state changed; the sentence is for a person
 * @property {(time: string, about: Welcomed) => void} [welcome] connected; the server's time, ISO 8601
 */
/**
 * What is asked for of a run.
 * @typedef {object} WatchOptions
 * @property {string[]} [channels] names of channels and arrays; all if absent
 * @property {string} [revision] which reconstruction of the run; the newest if absent, also one that is made later
 * @property {number} [maxRate] updates a second at most, up to 60; 20 if absent. Rows that come faster are put together, none is left out.
 */
/**
 * What is done with what arrives; each function may be left out.
 * @typedef {object} Listener
 * @property {(run: Run, revision: string, resumed: boolean) => void} [run] rows of this run follow: from row 0 on, or if `resumed` those after
 *   the ones that came already, of the same shape and channels
 * @property {(block: Block) => void} [points] the next rows: none is missing, none comes twice, whatever happens to the connection
 * @property {(array: ArrayBlock) => void} [array] the latest version of an array
 * @property {(revision: string, producedBy: string) => void} [revised] the run is reconstructed anew; `run` and rows from 0 follow
 * @property {(status: Status, reason: string) => void} [stopped] the run ended, and all its rows are here
 * @property {(code: string, message: string, isError: boolean) => void} [notice] something to tell the person
 * @property {(code: string, message: string) => void} [refused] the run cannot be had
 */
/**
 * A run that is watched.
 * @typedef {object} Subscription
 * @property {string} target a run's uid, or "latest"
 * @property {(target: string) => void} watch watch another run; one that is watched already goes on without starting again
 * @property {() => void} close the listener hears no more
 */

/**
 * The part of a WebSocket that is used here.
 * @typedef {{binaryType: any, onopen: any, onmessage: any, onerror: any, onclose: any, send(text: string): void, close(): void}} Socket
 */
/** @typedef {{id: number, run: string, revision: string}} About */
/** @typedef {About & {type: "points", first_row: number, rows: number, points_expected?: number | null, arrived?: number, columns: {name: string, dtype: string, offset: number}[]}} PointsHeader */
/** @typedef {About & {type: "array", name: string, version: number, dtype: string, shape: number[], offset: number, full_shape?: number[]}} ArrayHeader */

/** Why something cannot be had: `code` is one of the feed's, or `not_authenticated`, `refused`, `interrupted` or `closed`. */
export class FeedError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "FeedError";
    this.code = code;
  }
}

// ---- binary messages

/** @type {Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => Column>} */
const VIEWS = {
  "<f8": Float64Array, "<f4": Float32Array, "<u4": Uint32Array, "<i4": Int32Array,
  "<u2": Uint16Array, "<i2": Int16Array, "|u1": Uint8Array, "|i1": Int8Array,
};
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** @param {number[]} shape */
const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

/**
 * Read a binary message, without copying its values.
 * @param {ArrayBuffer} buffer
 * @returns {{header: PointsHeader, columns: Map<string, Column>} | {header: ArrayHeader, values: Column}}
 * @throws {FeedError} it is damaged
 */
export function decode(buffer) {
  try {
    const length = new DataView(buffer).getUint32(0, true);
    /** @type {PointsHeader | ArrayHeader} */
    const header = JSON.parse(utf8.decode(new Uint8Array(buffer, 4, length)));
    const view = (/** @type {string} */ dtype, /** @type {number} */ offset, /** @type {number} */ count) => {
      const View = VIEWS[dtype];
      if (!View) throw new TypeError(`values of the unknown type ${dtype}`);
      if (![offset, count].every((number) => Number.isSafeInteger(number) && number >= 0)) throw new RangeError(`${count} values at ${offset}`);
      return new View(buffer, 4 + length + offset, count);
    };
    if (header.type === "array") return { header, values: view(header.dtype, header.offset, sizeOf(header.shape)) };
    if (header.type !== "points") throw new TypeError("neither rows nor an array");
    return { header, columns: new Map(header.columns.map(({ name, dtype, offset }) => [name, view(dtype, offset, header.rows)])) };
  } catch (error) {
    throw new FeedError("bad_message", `A binary message is damaged: ${error instanceof Error ? error.message : error}.`);
  }
}

/** The maps of a run: its rows, each in its cell. */
export class Maps {
  /** @type {Map<string, Float64Array>} */ #maps;

  /** @param {Pick<Run, "shape" | "channels">} run */
  constructor({ shape, channels }) {
    this.shape = shape;
    this.#maps = new Map(channels.map(({ name }) => [name, new Float64Array(sizeOf(shape)).fill(NaN)]));
  }

  /**
   * Take the next rows. A later row for a cell replaces an earlier one.
   * @param {Block} block
   */
  add({ rows, columns }) {
    const cells = columns.get("cell") ?? [];
    for (const [name, map] of this.#maps) {
      const values = columns.get(name);
      if (values) for (let row = 0; row < rows; row++) map[cells[row]] = values[row];
    }
  }

  /**
   * A channel's map, flattened in C order; NaN where nothing was measured. The same array each time: it grows with the run.
   * @param {string} channel
   * @throws {RangeError} the run has no such channel
   */
  of(channel) {
    const map = this.#maps.get(channel);
    if (!map) throw new RangeError(`The run has no channel ${channel}; it has ${[...this.#maps.keys()].join(", ")}.`);
    return map;
  }
}

// ---- one run

const LATEST = "latest";
/** Errors of a subscription that may be gone when it is asked for again. */
const PASSING = ["internal", "rate_limited"];

/**
 * What a follower needs of its connection.
 * @typedef {object} Line
 * @property {boolean} open whether the server has said welcome
 * @property {string | null} latest uid of the latest run, as far as known
 * @property {(message: object) => number} ask send a request; gives the id it has got
 * @property {(why: string) => void} again connect anew
 * @property {(follower: Follower) => void} leave
 */

/** Follows one run, or the latest: what to ask for, which rows are held. The public part of it is {@link Subscription}. */
class Follower {
  /** Of the request that is answered now; 0 for none. */ id = 0;
  /** The rows held so far: what a new connection resumes from. @type {{run: Run, revision: string, rows: number} | null} */ #held = null;
  /** The row that was asked for first. */ #from = 0;
  /** @type {Line} */ #line;
  /** @type {WatchOptions} */ #options;

  /**
   * @param {Line} line
   * @param {string} target
   * @param {Listener} listener
   * @param {WatchOptions} options
   */
  constructor(line, target, listener, options) {
    this.target = target;
    this.listener = listener;
    this.#line = line;
    this.#options = options;
    if (line.open) this.subscribe();
  }

  /** @param {string} target */
  watch(target) {
    this.target = target;
    this.#unsubscribe();
    if (this.#line.open) this.subscribe();
  }

  close() {
    this.#unsubscribe();
    this.#line.leave(this);
    this.#line = { ...this.#line, open: false }; // Whoever tells it to watch again is not heard.
  }

  /** Ask for the rows after those that are held, or for all. */
  subscribe() {
    const { channels, revision = "newest", maxRate } = this.#options;
    const held = this.#held;
    const resume = held !== null && (this.target === LATEST ? this.#line.latest : this.target) === held.run.uid;
    const from = resume ? { revision: held.revision, from_row: held.rows, follow: revision === "newest" } : { revision };
    this.#from = resume ? held.rows : 0;
    this.id = this.#line.ask({ type: "subscribe", run: this.target, channels, max_rate: maxRate, ...from });
  }

  /** The rows so far do not count any more. */
  forget() {
    this.#held = null;
  }

  /** @param {any} message a control message that has this follower's id; unknown types are ignored */
  told(message) {
    const { listener } = this;
    switch (message.type) {
      case "run":
        return this.#run(message);
      case "revised":
        if (this.#held) this.#held = { ...this.#held, revision: message.revision, rows: 0 };
        return listener.revised?.(message.revision, String(message.produced_by ?? ""));
      case "run_stopped":
        return listener.stopped?.(message.exit_status, message.reason ?? "");
      case "notice":
        return listener.notice?.(message.code, message.message, false);
      case "error":
        return this.#error(message);
    }
  }

  /** @param {ReturnType<typeof decode>} message one that has this follower's id */
  given(message) {
    const held = this.#held;
    const { header } = message;
    if (!held) return;
    const mine = header.run === held.run.uid && header.revision === held.revision;
    if (!("columns" in message)) {
      const { name, shape } = message.header;
      return mine ? this.listener.array?.({ name, shape, values: message.values }) : undefined;
    }
    const { first_row: first, rows, points_expected: expected, arrived = null } = message.header;
    if (!mine || first !== held.rows) return this.#fault(`Row ${first} came where row ${held.rows} was to come.`);
    const cells = message.columns.get("cell");
    const size = sizeOf(held.run.shape);
    if (!cells || !message.columns.has("point")) return this.#fault("Rows came without a point or a cell.");
    const outside = cells.find((cell) => cell >= size);
    if (outside !== undefined) return this.#fault(`Cell ${outside} lies outside the shape ${held.run.shape.join(" × ")}.`);
    held.rows += rows;
    this.listener.points?.({ firstRow: first, rows, pointsExpected: expected ?? null, columns: message.columns, arrived });
  }

  #unsubscribe() {
    if (this.id) this.#line.ask({ type: "unsubscribe", id: this.id });
    this.id = 0;
  }

  #restart() {
    this.forget();
    this.watch(this.target);
  }

  /** @param {{run: Run, revision: string, from_row: number}} message */
  #run({ run, revision, from_row: from }) {
    const held = this.#held;
    if (this.target === LATEST) this.#line.latest = run.uid;
    const resumed = held !== null && from > 0 && held.run.uid === run.uid && held.revision === revision && held.rows === from;
    if (from > 0 && !resumed) {
      // "latest" moved on between two connections: the row resumed from was another run's.
      return this.#from ? this.#restart() : this.#fault(`The server began at row ${from} instead of 0.`);
    }
    if (resumed && layout(held.run) !== layout(run)) return this.#restart();
    this.#held = { run, revision, rows: from };
    this.listener.run?.(run, revision, resumed);
  }

  /** @param {{code: string, message: string}} error */
  #error({ code, message }) {
    this.id = 0;
    if (this.#from && (code === "unknown_revision" || code === "bad_message")) {
      this.#restart(); // What is held here is not there any more.
    } else if (PASSING.includes(code)) {
      this.listener.notice?.(code, message, true);
      this.#line.again("The server has a difficulty.");
    } else {
      this.forget();
      this.listener.refused?.(code, message);
    }
  }

  /** @param {string} sentence */
  #fault(sentence) {
    this.listener.notice?.("client_fault", sentence, true);
    this.#line.again("Starting again after a fault.");
  }
}

/**
 * What rows must have in common to be scattered into the same maps.
 * @param {Run} run
 */
function layout({ shape, channels }) {
  return JSON.stringify([shape, channels.map(({ name }) => name)]);
}

// ---- the connection

const GIVE_UP = new Map([
  [4400, "The server does not understand this page. Reload it to get the version that fits."],
  [4403, "The server does not allow this page to watch."],
]);
const COME_BACK = new Map([
  [1001, "The server is going away."],
  [1012, "The server is restarting."],
  [1013, "The server is busy."],
  [3008, "This page was too slow to keep up."],
]);
const NOT_AUTHENTICATED = 4401;
const FIRST_DELAY_S = 0.5;
const LONGEST_DELAY_S = 15;
const SILENCE_S = 10;

/** A connection to a feed, which comes back by itself; any number of runs can be watched and requests be made over it. Close it in the end. */
export class Feed {
  #url;
  #options;
  /** @type {NonNullable<FeedOptions["WebSocket"]>} */ #WebSocket;
  /** @type {ConnectionState} */ #state = "connecting";
  /** @type {Socket | null} */ #socket = null;
  /** @type {Line} */ #line;
  /** @type {Set<Follower>} */ #followers = new Set();
  /** What is asked and not answered yet; asked again at each connection, but for what must not be done twice. @type {Map<number, {message: object | null, resolve: (answer: any) => void, reject: (why: FeedError) => void, once: boolean, sent: boolean}>} */
  #requests = new Map();
  /** Why nothing can be asked. @type {FeedError | null} */ #failure = null;
  #nextId = 1;
  #attempt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #watchdog;
  #again = () => this.#open();
  #heard = 0;
  /** Whether a ping was sent, and nothing heard since. */ #pinged = false;

  /**
   * @param {string | URL} url the feed, e.g. `wss://wpb.example.org/ws`; in a page also relative to its address
   * @param {FeedOptions} [options]
   */
  constructor(url, options = {}) {
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#options = options;
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (!this.#WebSocket) throw new TypeError("There is no WebSocket here, as in Node before 22: give one as the option WebSocket, that of the package ws, say.");
    this.#line = {
      open: false,
      latest: null,
      ask: (message) => this.#send({ id: this.#nextId++, ...message }),
      again: (why) => this.#lost(why),
      leave: (follower) => this.#followers.delete(follower),
    };
    this.#open();
  }

  get state() {
    return this.#state;
  }

  /**
   * Watch a run.
   * @param {string} target its uid, or "latest" for the run that started last, and then each newer one
   * @param {Listener} listener
   * @param {WatchOptions} [options]
   * @returns {Subscription}
   */
  watch(target, listener, options = {}) {
    if (this.#state === "closed") throw new FeedError("closed", "The feed was closed.");
    const follower = new Follower(this.#line, target, listener, options);
    this.#followers.add(follower);
    return follower;
  }

  /**
   * The runs, newest first. As all requests it waits for the connection, and is asked again after an interruption.
   * @param {{limit?: number, before?: string, planName?: string, status?: Status, since?: string, until?: string, scanId?: number,
   *   session?: string, text?: string}} [conditions] at most so many (50, up to 500); of the page after that which gave the cursor `before`;
   *   times are ISO 8601; `text` is words, each of which a word or number in the metadata begins with, or the beginning of the uid
   * @returns {Promise<{runs: Run[], before: string | null}>}
   * @throws {FeedError}
   */
  async listRuns({ planName, scanId, ...conditions } = {}) {
    return this.#promise((resolve) => ({ message: { type: "list_runs", plan_name: planName, scan_id: scanId, ...conditions }, resolve }));
  }

  /**
   * The detector's frame of a point.
   * @param {string} run
   * @param {number} point its number in the scan, from 0
   * @param {{maxSize?: [number, number], dataKey?: string}} [options] rows and columns at most, to which it is made smaller; of which detector
   * @returns {Promise<ArrayBlock>}
   * @throws {FeedError}
   */
  async frame(run, point, { maxSize, dataKey } = {}) {
    return this.#promise((resolve) => ({ message: { type: "get_frame", run, point, data_key: dataKey, max_size: maxSize }, resolve }));
  }

  /**
   * Have a run that is over made again. Needs a token of scope `admin`.
   * @param {string} run
   * @param {Record<string, unknown>} [recipe] counts over the `wpb` entry of its start document, key by key
   * @returns {Promise<Reprocessing>}
   * @throws {FeedError}
   */
  async reprocess(run, recipe = {}) {
    return this.#promise((resolve) => ({ message: { type: "reprocess", run, recipe }, resolve, once: true }));
  }

  /**
   * Have blueapi run the plan of a run once more: motors move. Needs a token of scope `admin`.
   * @param {string} run
   * @param {{begin?: boolean}} [options] whether to do it, rather than tell what would be run
   * @returns {Promise<Task>}
   * @throws {FeedError}
   */
  async runAgain(run, { begin = false } = {}) {
    return this.#promise((resolve) => ({ message: { type: "run_again", run, begin }, resolve, once: begin }));
  }

  /**
   * All rows and arrays of a run, once it is over.
   * @param {string} run
   * @param {{revision?: string, channels?: string[]}} [options]
   * @returns {Promise<Fetched>}
   * @throws {FeedError}
   */
  async fetch(run, { revision, channels } = {}) {
    /** @type {Subscription | undefined} */ let subscription;
    try {
      return await this.#promise((resolve, reject) => {
        /** @type {Fetched} */ let found;
        subscription = this.watch(run, {
          run: (described, name, resumed) => {
            found = { ...(resumed ? found : { rows: 0, blocks: [], arrays: new Map() }), run: described, revision: name };
          },
          points: (block) => (found.rows += block.rows) && found.blocks.push(block),
          array: (array) => found.arrays.set(array.name, array),
          revised: () => revision && reject(new FeedError("unknown_revision", `Revision ${revision} is not kept any more.`)),
          stopped: () => resolve(found),
          refused: (code, message) => reject(new FeedError(code, message)),
        }, { revision, channels, maxRate: 60 });
        return { message: null, resolve };
      });
    } finally {
      subscription?.close();
    }
  }

  /** Come back at once, with another token perhaps. */
  reopen() {
    if (this.#state === "closed") return;
    this.#failure = null;
    this.#open();
  }

  /** Leave: nothing is left of it, and what was asked and not answered fails. */
  close() {
    this.#end("closed", "closed", "The feed was closed.");
    this.#followers.clear();
  }

  /**
   * @param {ConnectionState} state
   * @param {string} sentence
   */
  #tell(state, sentence) {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.connection?.(state, sentence);
  }

  #open() {
    this.#detach();
    const { token = "" } = this.#options;
    const socket = new this.#WebSocket(this.#url, "wpb.v1");
    socket.binaryType = "arraybuffer";
    // Also without a token: a server that wants one says so at once then.
    socket.onopen = () => socket.send(JSON.stringify({ type: "authenticate", token: typeof token === "string" ? token : token() }));
    socket.onmessage = (/** @type {{data: string | ArrayBuffer}} */ { data }) => this.#receive(data);
    socket.onclose = (/** @type {{code: number}} */ { code }) => this.#closed(code);
    // Not every runtime tells of a failed attempt by a close as well.
    socket.onerror = () => this.#closed(0);
    this.#socket = socket;
    this.#heard = performance.now();
    this.#watchdog = setInterval(() => this.#look(), SILENCE_S * 500);
    this.#tell("connecting", "Connecting");
  }

  /** Let go of the connection, or of the next attempt at one. */
  #detach() {
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {}; // Some fail when they are closed too early, and end the process if nobody listens.
      socket.close();
    }
    clearInterval(this.#watchdog);
    clearTimeout(this.#retry);
    globalThis.removeEventListener?.("online", this.#again);
    this.#line.open = this.#pinged = false;
    for (const follower of this.#followers) follower.id = 0;
  }

  /** @param {number} code */
  #closed(code) {
    const final = GIVE_UP.get(code);
    if (code === NOT_AUTHENTICATED) {
      for (const follower of this.#followers) follower.forget(); // Another token may not show it.
      const { token } = this.#options;
      const shown = typeof token === "function" ? token() : token;
      this.#end("unauthenticated", "not_authenticated", shown ? "The server does not know this token." : "The server wants a token.");
    } else if (final) this.#end("refused", "refused", final);
    else this.#lost(COME_BACK.get(code) ?? "No connection.");
  }

  /**
   * @param {ConnectionState} state
   * @param {string} code
   * @param {string} sentence
   */
  #end(state, code, sentence) {
    this.#detach();
    this.#failure = new FeedError(code, sentence);
    for (const { reject } of this.#requests.values()) reject(this.#failure);
    this.#tell(state, sentence);
  }

  /** @param {string} why */
  #lost(why) {
    if (this.#state === "closed") return; // A listener that was told why closed it.
    this.#detach();
    // Jitter: after a server's restart its clients must not all come back in the same moment.
    const delay = Math.min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** this.#attempt++) * (0.5 + Math.random() / 2);
    this.#retry = setTimeout(this.#again, delay * 1000);
    globalThis.addEventListener?.("online", this.#again);
    this.#tell("waiting", `${why} Trying again ${delay < 1.5 ? "now" : `in ${Math.round(delay)} s`}.`);
  }

  // A pulled cable closes nothing: a browser sees it only when an answer stays away.
  #look() {
    const { open } = this.#line;
    const silence = (performance.now() - this.#heard) / 1000;
    if (silence > 2 * SILENCE_S && (this.#pinged || !open)) return this.#lost("The server has gone silent.");
    if (!open) return;
    this.#attempt = 0;
    if (silence > SILENCE_S && !this.#pinged) {
      this.#pinged = true;
      this.#line.ask({ type: "ping" });
    }
  }

  /** @param {{id: number}} message */
  #send(message) {
    this.#socket?.send(JSON.stringify(message));
    return message.id;
  }

  /**
   * A promise of what a request gets, which fails when the feed is left, or lets nobody in.
   * @template T
   * @param {(resolve: (answer: T) => void, reject: (why: FeedError) => void) => {message: object | null, resolve: (answer: T) => void, once?: boolean}} begin
   * @returns {Promise<T>}
   */
  async #promise(begin) {
    const id = this.#nextId++;
    try {
      return await new Promise((resolve, reject) => {
        if (this.#failure) throw this.#failure;
        const { message, resolve: answered, once = false } = begin(resolve, reject);
        const request = { message: message && { id, ...message }, resolve: answered, reject, once, sent: this.#line.open };
        this.#requests.set(id, request);
        if (request.message && this.#line.open) this.#send(request.message);
      });
    } finally {
      this.#requests.delete(id);
    }
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    this.#heard = performance.now();
    this.#pinged = false;
    let message, decoded;
    try {
      if (typeof data === "string") message = JSON.parse(data);
      else decoded = decode(data);
    } catch (error) {
      for (const { listener } of this.#followers) listener.notice?.("client_fault", error instanceof Error ? error.message : String(error), true);
      return this.#lost("Starting again after a fault.");
    }
    // Not caught: what a listener throws is not the connection's fault, and is reported as whatever nobody catches is.
    if (decoded) this.#binary(decoded);
    else this.#text(message);
  }

  /** @param {any} message */
  #text(message) {
    if (message.type === "welcome") return this.#welcome(message);
    const request = this.#requests.get(message.id);
    const follower = this.#following(message.id);
    if (follower) follower.told(message);
    else if (request && message.type === "error") request.reject(new FeedError(message.code, message.message));
    else if (request && message.type === "reprocessing") request.resolve({ run: message.run, dagsterRun: message.dagster_run, link: message.link });
    else if (request && message.type === "task") request.resolve({ run: message.run, plan: message.plan, params: message.params, task: message.task });
    else if (request) request.resolve({ runs: message.runs, before: message.before });
    else if (message.type === "error" && message.id === null) {
      for (const { listener } of this.#followers) listener.notice?.(message.code, message.message, true);
    }
  }

  /** @param {ReturnType<typeof decode>} message */
  #binary(message) {
    const request = this.#requests.get(message.header.id);
    if (request && "values" in message) {
      const { name, shape, full_shape: fullShape } = message.header;
      request.resolve({ name, shape, values: message.values, fullShape });
    } else this.#following(message.header.id)?.given(message);
  }

  /** @param {number} id */
  #following(id) {
    return id ? [...this.#followers].find((follower) => follower.id === id) : undefined;
  }

  /** @param {{latest: string | null, time: string, scopes?: string[], dagster?: string | null, blueapi?: boolean}} message */
  #welcome({ latest, time, scopes = [], dagster = null, blueapi = false }) {
    this.#line.latest = latest;
    this.#line.open = true;
    for (const request of this.#requests.values()) {
      if (request.once && request.sent) request.reject(new FeedError("interrupted", "The connection was lost before the answer came: look whether it was done."));
      else if (request.message) this.#send(/** @type {{id: number}} */ (request.message));
      request.sent = true;
    }
    for (const follower of this.#followers) follower.subscribe();
    this.#tell("connected", "Connected");
    this.#options.welcome?.(time, { scopes, dagster, blueapi });
  }
}

/**
 * Watch one run, over a connection of its own.
 * @param {string | URL} url the feed, e.g. `wss://wpb.example.org/ws`
 * @param {string} target the run's uid, or "latest" for the run that started last, and then each newer one
 * @param {Listener} listener
 * @param {FeedOptions & WatchOptions} [options]
 * @returns {Feed} to be closed in the end
 */
export function watch(url, target, listener, { channels, revision, maxRate, ...options } = {}) {
  const feed = new Feed(url, options);
  feed.watch(target, listener, { channels, revision, maxRate });
  return feed;
}
