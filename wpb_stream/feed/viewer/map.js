// <wpb-map feed="https://wpb.example.org/" run="latest" channel="red">: a run's maps on any page, as they grow. docs/how-to/browser.md
import { Feed } from "./client.js";
import { LiveStage } from "./livestage.js";
import { Look } from "./look.js";
import { STATUS_WORDS, nameOf } from "./page.js";

const STYLE = `
:host { display: flex; flex-direction: column; gap: .3rem; min-height: 16rem; color-scheme: dark light; font-variant-numeric: tabular-nums;
  --ground: #0b0e13; --surface: #12171f; --hatch: #10151c; --line: #2a3441; --text: #e4eaf1; --muted: #93a1b1; --accent: #58a6ff;
  --red: #ff7b72; --green: #4cc46a; --blue: #6cb0ff; --amber: #e8ae4a; color: var(--text); }
@media (prefers-color-scheme: light) { :host {
  --ground: #f2f4f7; --surface: #fff; --hatch: #f4f6f9; --line: #cdd6e0; --text: #16202b; --muted: #566474; --accent: #0a55b5;
  --red: #c4262e; --green: #0f6e30; --blue: #1c63cf; --amber: #8f5a00; } }
[hidden] { display: none !important; }
* { box-sizing: border-box; margin: 0; }
.stage { flex: 1; min-height: 0; display: grid; gap: .4rem; grid-template-columns: var(--columns); grid-auto-rows: minmax(0, 1fr); }
.stage[data-large=true] [data-size=large] { grid-column: 1; grid-row: 1 / span var(--rows); }
figure { display: flex; flex-direction: column; min-width: 0; padding: .4rem; background: var(--surface); border: 1px solid var(--line); border-radius: .5rem; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 .6rem; align-items: baseline; font-size: .78rem; color: var(--muted); }
h2 { font-size: .9rem; font-weight: 600; color: var(--text); }
figcaption span { display: flex; flex-wrap: wrap; gap: 0 .6rem; }
figure div { position: relative; flex: 1; min-height: 6rem; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; cursor: crosshair; touch-action: pan-y; }
:focus-visible { outline: 2px solid var(--accent); }
.enlarge { margin-left: auto; padding: 0 .35rem; border: 0; background: none; color: var(--muted); font: inherit; cursor: pointer; }
[data-colour]::before { content: "■ "; } [data-colour=red]::before { color: var(--red); }
[data-colour=green]::before { color: var(--green); } [data-colour=blue]::before { color: var(--blue); }
[data-line]::before { content: "━ "; color: var(--ink); } [data-line=dashed]::before { content: "╍ "; } [data-line=dotted]::before { content: "┅ "; }
p { display: flex; gap: .5rem; align-items: center; min-height: 1.4em; padding: 0 .3rem; font-size: .8rem; color: var(--muted); }
p::before { content: ""; width: .5rem; height: .5rem; border-radius: 50%; background: var(--amber); }
p[data-state=connected]::before { background: var(--green); }
p:is([data-state=refused], [data-state=unauthenticated])::before { background: var(--red); }
`;

export class WpbMap extends HTMLElement {
  static observedAttributes = ["feed", "run", "channel", "revision"];

  /** Shown to a server that wants one: set before the element is put on the page. @type {string | (() => string)} */ token = "";
  #status = document.createElement("p");
  #host = document.createElement("div");
  /** @type {Feed | null} */ #feed = null;
  /** @type {LiveStage | null} */ #live = null;
  /** What keeps it from being shown. */ #why = "";
  /** What the connection says while there is none. */ #connection = "";
  #started = false;
  #scheduled = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    // Taken over as an object: a page's Content-Security-Policy need not allow inline styles for it.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    this.#host.className = "stage";
    this.#host.hidden = true;
    this.#status.setAttribute("role", "status");
    root.append(this.#host, this.#status);
  }

  connectedCallback() {
    this.#start();
  }

  disconnectedCallback() {
    this.#started = false;
    this.#stop();
  }

  /** Attributes that change together are one change. */
  attributeChangedCallback() {
    if (!this.#started || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (!this.isConnected) return;
      this.#stop();
      this.#start();
    });
  }

  #start() {
    this.#started = true;
    const [run, channel, revision] = ["run", "channel", "revision"].map((name) => this.getAttribute(name) || undefined);
    const look = new Look(false);
    if (channel) look.choose({ layout: "one" });
    const address = this.getAttribute("feed") || ".";
    if (!URL.canParse(address, import.meta.url)) {
      this.#why = `“${address}” is no address of a wpb server: see the attribute feed`;
      return this.#say();
    }
    const root = new URL(address.replace(/\/*$/, "/"), import.meta.url);
    this.#feed = new Feed(new URL("ws", root), {
      token: this.token,
      connection: (state, sentence) => {
        this.#status.dataset.state = state;
        this.#connection = state === "connected" ? "" : sentence;
        this.#say();
      },
    });
    this.#live = new LiveStage(this.#host, look, this.#feed, run ?? "latest", {
      changed: () => this.#say(),
      said: (sentence) => {
        this.#why = sentence;
        this.#say();
      },
    }, { revision });
    this.#live.stage.large = channel ?? null;
    this.#say();
  }

  #stop() {
    this.#live?.close();
    this.#feed?.close();
    this.#live = this.#feed = null;
    this.#why = this.#connection = "";
  }

  #say() {
    const { run, stage } = this.#live ?? {};
    const { measured, pointsExpected } = stage?.model ?? {};
    const share = measured === undefined ? "" : pointsExpected ? `${measured} of ${pointsExpected}` : String(measured);
    const words = run && !this.#why ? [nameOf(run), STATUS_WORDS[run.status] ?? run.status, share] : [this.#why || "Waiting for a scan"];
    this.#status.textContent = [...words, this.#connection].filter(Boolean).join(" · ");
  }
}

customElements.define("wpb-map", WpbMap);
