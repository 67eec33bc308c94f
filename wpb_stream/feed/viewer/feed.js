// The connection to the feed: subscribes, resumes after an interruption, hands on every row exactly once and in order.
import { arrayOf, decode, rowsFrom } from "./protocol.js";
import { token } from "./token.js";

/** @typedef {import("./protocol.js").Run} Run */
/** @typedef {import("./protocol.js").Block} Block */
/** Why something cannot be had. @typedef {{code: string, message: string}} Refusal */
/** A finished revision, whole. @typedef {{run: Run, revision: string, rows: number, blocks: Block[]}} Fetched */
/** @typedef {"connecting" | "connected" | "waiting" | "unauthenticated" | "refused"} ConnectionState */

/**
 * What the page does with what arrives.
 * @typedef {object} Listener
 * @property {(state: ConnectionState, sentence: string) => void} connection the connection's state changed
 * @property {(time: string) => void} welcome connected; the server's time, ISO 8601
 * @property {(run: Run, revision: string, resumed: boolean) => void} run rows of this run follow; from row 0 unless `resumed`
 * @property {(revision: string, producedBy: string) => void} revised rows of another revision of the same run follow, from row 0
 * @property {(block: Block) => void} points the next rows
 * @property {(array: import("./protocol.js").ArrayBlock) => void} array the latest version of an array
 * @property {(status: import("./protocol.js").Status, reason: string) => void} stopped the run ended
 * @property {(code: string, message: string, isError: boolean) => void} notice something to tell the person
 * @property {(message: string) => void} refused the run asked for cannot be shown
 */

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

export class Feed {
  /** @type {WebSocket | null} */ #socket = null;
  #nextId = 1;
  #subscription = 0;
  #asked = 0;
  /** The rows held so far: what a new connection resumes from. @type {{run: string, revision: string, rows: number} | null} */
  #held = null;
  /** @type {string | null} */ #latest = null;
  #attempt = 0;
  /** @type {number | undefined} */ #retry;
  /** @type {Map<number, (runs: Run[] | null) => void>} */ #answers = new Map();
  /** @type {Map<number, (frame: import("./protocol.js").ArrayBlock | Refusal | null) => void>} */ #looks = new Map();
  /** Revisions that are fetched whole. @type {Map<number, Fetched & {resolve: (found: Fetched | Refusal | null) => void}>} */ #fetches = new Map();
  #heard = 0;
  /** Identifier of the last ping; negative once something has been heard since. */ #ping = 0;
  #ready = false;

  /**
   * @param {string | URL} url
   * @param {Listener} listener
   * @param {string} target a run's uid, or "latest"
   */
  constructor(url, listener, target) {
    this.url = url;
    this.listener = listener;
    this.target = target;
    addEventListener("online", () => this.#retry !== undefined && this.#open());
    setInterval(() => this.#watchdog(), SILENCE_S * 500);
    this.#open();
  }

  /** Whether requests can be sent: the server has said welcome. */
  get connected() {
    return this.#ready;
  }

  /**
   * Watch another run. A run that is being shown goes on without starting again.
   * @param {string} target a run's uid, or "latest"
   */
  watch(target) {
    this.target = target;
    if (!this.connected) return;
    if (this.#subscription) this.#send({ type: "unsubscribe", id: this.#subscription });
    this.#subscribe();
  }

  /**
   * The newest runs.
   * @param {number} limit
   * @returns {Promise<Run[] | null>} null if the server did not answer
   */
  runs(limit) {
    if (!this.connected) return Promise.resolve(null);
    return new Promise((resolve) => this.#answers.set(this.#send({ type: "list_runs", id: this.#nextId++, limit }), resolve));
  }

  /**
   * The detector's frame of a point.
   * @param {string} run
   * @param {number} point
   * @param {[number, number]} size rows and columns at most
   * @returns {Promise<import("./protocol.js").ArrayBlock | Refusal | null>} null if the server did not answer
   */
  frame(run, point, size) {
    if (!this.connected) return Promise.resolve(null);
    const id = this.#send({ type: "get_frame", id: this.#nextId++, run, point, max_size: size });
    return new Promise((resolve) => this.#looks.set(id, resolve));
  }

  /**
   * All rows of a finished revision, beside what is watched.
   * @param {Run} run
   * @param {string} revision
   * @returns {Promise<Fetched | Refusal | null>} null if the server did not answer
   */
  fetch(run, revision) {
    if (!this.connected) return Promise.resolve(null);
    const id = this.#send({ type: "subscribe", id: this.#nextId++, run: run.uid, revision, max_rate: 60 });
    return new Promise((resolve) => this.#fetches.set(id, { run, revision, rows: 0, blocks: [], resolve }));
  }

  /** Come back, now that there is another token. */
  reopen() {
    if (this.#socket) this.#detach("connecting", "Connecting");
    this.#open();
  }

  /** Ask for the rows from the first on: those held do not fit the run's new description. */
  restart() {
    this.#held = null;
    this.watch(this.target);
  }

  #open() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.listener.connection("connecting", "Connecting");
    const socket = new WebSocket(this.url, "wpb.v1");
    socket.binaryType = "arraybuffer";
    // Also without a token: a server that wants one says so at once then.
    socket.onopen = () => socket.send(JSON.stringify({ type: "authenticate", token: token() }));
    socket.onmessage = ({ data }) => {
      this.#heard = performance.now();
      this.#ping = -Math.abs(this.#ping);
      try {
        if (typeof data === "string") this.#text(JSON.parse(data));
        else this.#binary(data);
      } catch (error) {
        this.#fault(`A message could not be read: ${error instanceof Error ? error.message : error}.`);
      }
    };
    socket.onclose = ({ code }) => {
      const final = GIVE_UP.get(code);
      if (code === NOT_AUTHENTICATED) {
        this.#held = null; // It is on the page no more.
        return this.#detach("unauthenticated", token() ? "The server does not know this token." : "The server wants a token.");
      }
      if (final === undefined) this.#lost(COME_BACK.get(code) ?? "No connection.");
      else this.#detach("refused", final);
    };
    this.#socket = socket;
  }

  /**
   * @param {ConnectionState} state
   * @param {string} sentence
   */
  #detach(state, sentence) {
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#subscription = this.#ping = 0;
    this.#ready = false;
    const fetches = [...this.#fetches.values()].map(({ resolve }) => resolve);
    for (const resolve of [...this.#answers.values(), ...this.#looks.values(), ...fetches]) resolve(null);
    for (const waiting of [this.#answers, this.#looks, this.#fetches]) waiting.clear();
    this.listener.connection(state, sentence);
  }

  /** @param {string} why */
  #lost(why) {
    // Jitter: after a server's restart its clients must not all come back in the same moment.
    const delay = Math.min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** this.#attempt++) * (0.5 + Math.random() / 2);
    this.#detach("waiting", `${why} Trying again ${delay < 1.5 ? "now" : `in ${Math.round(delay)} s`}.`);
    this.#retry = setTimeout(() => this.#open(), delay * 1000);
  }

  /** @param {string} sentence */
  #fault(sentence) {
    this.listener.notice("client_fault", sentence, true);
    this.#lost("Starting again after a fault.");
  }

  // A pulled cable closes nothing: a browser sees it only when an answer stays away.
  #watchdog() {
    if (!this.connected) return;
    this.#attempt = 0;
    const silence = (performance.now() - this.#heard) / 1000;
    if (this.#ping > 0) {
      if (silence > 2 * SILENCE_S) this.#lost("The server has gone silent.");
    } else if (silence > SILENCE_S) this.#ping = this.#send({ type: "ping", id: this.#nextId++ });
  }

  /**
   * @template {{id: number}} T
   * @param {T} message
   */
  #send(message) {
    this.#socket?.send(JSON.stringify(message));
    return message.id;
  }

  #subscribe() {
    const held = this.#held;
    const resume = held !== null && (this.target === "latest" ? this.#latest : this.target) === held.run;
    this.#asked = resume ? held.rows : 0;
    const request = { type: "subscribe", id: this.#nextId++, run: this.target, max_rate: 60 };
    this.#subscription = this.#send(resume ? { ...request, revision: held.revision, from_row: held.rows, follow: true } : request);
  }

  /** @param {any} message any control message; unknown types are ignored */
  #text(message) {
    const mine = message.id === this.#subscription;
    const fetched = this.#fetches.get(message.id);
    if (fetched) return this.#fetching(message, fetched);
    switch (message.type) {
      case "welcome":
        this.#latest = message.latest;
        this.#ready = true;
        this.listener.connection("connected", "Connected");
        this.listener.welcome(message.time);
        return this.#subscribe();
      case "run":
        return mine ? this.#run(message) : undefined;
      case "revised":
        if (!mine) return;
        this.#held = { run: message.run, revision: message.revision, rows: 0 };
        return this.listener.revised(message.revision, String(message.produced_by ?? ""));
      case "run_stopped":
        return mine ? this.listener.stopped(message.exit_status, message.reason ?? "") : undefined;
      case "notice":
        return mine ? this.listener.notice(message.code, message.message, false) : undefined;
      case "runs":
        this.#answers.get(message.id)?.(message.runs);
        this.#answers.delete(message.id);
        return;
      case "error":
        return this.#error(message);
    }
  }

  /**
   * @param {any} message about a revision that is fetched
   * @param {Fetched & {resolve: (found: Fetched | Refusal) => void}} fetched
   */
  #fetching(message, fetched) {
    const { resolve, ...found } = fetched;
    if (message.type === "run") fetched.run = message.run;
    else if (message.type === "run_stopped") this.#fetched(message.id, () => resolve(found));
    else if (message.type === "revised") this.#fetched(message.id, () => resolve({ code: "unknown_revision", message: `Revision ${found.revision} is not kept any more.` }));
    else if (message.type === "error") this.#fetched(message.id, () => resolve(message));
  }

  /**
   * @param {number} id
   * @param {() => void} tell
   */
  #fetched(id, tell) {
    this.#fetches.delete(id);
    this.#send({ type: "unsubscribe", id });
    tell();
  }

  /** @param {{run: Run, revision: string, from_row: number}} message */
  #run({ run, revision, from_row: from }) {
    const held = this.#held;
    const resumed = held !== null && from > 0 && held.run === run.uid && held.revision === revision && held.rows === from;
    if (this.target === "latest") this.#latest = run.uid;
    if (!resumed && from > 0) {
      // "latest" moved on between two connections: the row resumed from was another run's.
      if (!this.#asked) return this.#fault(`The server began at row ${from} instead of 0.`);
      return this.restart();
    }
    this.#attempt = 0;
    this.#held = { run: run.uid, revision, rows: from };
    this.listener.run(run, revision, resumed);
  }

  /** @param {{id: number | null, code: string, message: string}} error */
  #error({ id, code, message }) {
    if (id !== null && Math.abs(this.#ping) === id) return; // An answer all the same.
    if (id !== null && this.#answers.has(id)) {
      this.#answers.get(id)?.(null);
      this.#answers.delete(id);
    }
    if (id !== null && this.#looks.has(id)) {
      this.#looks.get(id)?.({ code, message });
      this.#looks.delete(id);
      return;
    }
    if (id === null || id !== this.#subscription) return this.listener.notice(code, message, true);
    this.#subscription = 0;
    if (this.#asked && (code === "unknown_revision" || code === "bad_message")) {
      // What is held here is not there any more.
      this.#held = null;
      this.#subscribe();
    } else if (code === "internal" || code === "rate_limited") {
      this.listener.notice(code, message, true);
      this.#lost("The server has a difficulty.");
    } else {
      this.#held = null; // It is on the page no more.
      this.listener.refused(message);
    }
  }

  /** @param {ArrayBuffer} buffer */
  #binary(buffer) {
    const { header, payload } = decode(buffer);
    const held = this.#held;
    if (header.type === "array" && this.#looks.has(header.id)) {
      this.#looks.get(header.id)?.(arrayOf(buffer, header, payload));
      this.#looks.delete(header.id);
      return;
    }
    const fetched = this.#fetches.get(header.id);
    if (fetched && header.type === "points") {
      fetched.blocks.push(rowsFrom(buffer, header, payload, fetched.rows));
      fetched.rows = header.first_row + header.rows;
      return;
    }
    if (header.id !== this.#subscription || !held) return;
    if (header.type === "array" && header.run === held.run && header.revision === held.revision) {
      return this.listener.array(arrayOf(buffer, header, payload));
    }
    if (header.type !== "points") return;
    if (header.first_row > held.rows || header.run !== held.run || header.revision !== held.revision) {
      return this.#fault(`Rows ${held.rows} to ${header.first_row - 1} did not arrive.`);
    }
    const block = rowsFrom(buffer, header, payload, held.rows);
    if (block.rows <= 0) return;
    held.rows += block.rows;
    this.listener.points(block);
  }
}
