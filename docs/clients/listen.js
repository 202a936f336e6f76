// Listen to a shop's events from a page: ticket, reconnect with backoff, resume.
//
//   const events = new ShopEvents({
//     realtime: "http://127.0.0.1:8001",
//     getTicket: () => fetch("/my-backend/ticket").then((answer) => answer.text()),
//     handlers: { order_created: (event) => show(event.data), reset: () => readAllAnew() },
//   });
//   events.start();
//
// A ticket opens one connection: POST /api/v1/realtime/tickets with the access token of who is
// signed in, or let a backend of yours do it with its key. A secret key is no page's.

const DELAY_MIN_MS = 500;
const DELAY_MAX_MS = 30_000;
const ABOUT_THE_CONNECTION = ["connected", "reset"];

export class ShopEvents {
  #delay = DELAY_MIN_MS;
  #connection = null;
  #timer = null;
  #isStopped = true;

  // handlers: by type of event, which are those that are asked for; `reset` says that events are
  // gone, so that what is shown must be read anew. transport: "sse" or "websocket". lastEventId: of
  // the last event handled; keep it to go on there after the page was closed.
  constructor({ realtime, getTicket, handlers, transport = "sse", lastEventId = null }) {
    this.realtime = realtime;
    this.getTicket = getTicket;
    this.handlers = handlers;
    this.transport = transport;
    this.lastEventId = lastEventId;
  }

  start() {
    this.#isStopped = false;
    this.#connect();
  }

  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#connection?.close();
  }

  async #connect() {
    try {
      const ticket = await this.getTicket();
      if (this.#isStopped) return;
      if (this.transport === "sse") this.#openStream(ticket);
      else this.#openSocket(ticket);
    } catch (error) {
      console.warn("no ticket", error);
      this.#retry();
    }
  }

  get #types() {
    return Object.keys(this.handlers).filter((type) => !ABOUT_THE_CONNECTION.includes(type));
  }

  #openStream(ticket) {
    const url = new URL("/events", this.realtime);
    url.searchParams.set("ticket", ticket);
    url.searchParams.set("types", this.#types.join(","));
    if (this.lastEventId !== null) url.searchParams.set("last_event_id", this.lastEventId);
    const source = new EventSource(url);
    this.#connection = source;
    for (const type of [...this.#types, ...ABOUT_THE_CONNECTION]) {
      source.addEventListener(type, (message) => this.#take(JSON.parse(message.data)));
    }
    source.onerror = () => {
      // EventSource would come back by itself with the same ticket, which is used up
      source.close();
      this.#retry();
    };
  }

  #openSocket(ticket) {
    const url = new URL("/ws", this.realtime.replace(/^http/, "ws"));
    url.searchParams.set("ticket", ticket);
    const socket = new WebSocket(url);
    this.#connection = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "unsubscribe" }));
      socket.send(JSON.stringify({ type: "subscribe", types: this.#types }));
      if (this.lastEventId !== null) {
        socket.send(JSON.stringify({ type: "resume", last_event_id: this.lastEventId }));
      }
    };
    socket.onmessage = (message) => this.#take(JSON.parse(message.data));
    socket.onclose = () => this.#retry();
  }

  #take(message) {
    if (message.type === "connected") {
      this.#delay = DELAY_MIN_MS;
      this.lastEventId ??= message.id;
      this.handlers.connected?.(message);
    } else {
      this.handlers[message.type]?.(message);
      // today's figures also come without an id: such a message passes, and is not to be resumed from
      this.lastEventId = message.id ?? this.lastEventId;
    }
  }

  // Longer each time, and spread: all clients of a server lose it at the same moment.
  #retry() {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => this.#connect(), Math.random() * this.#delay);
    this.#delay = Math.min(this.#delay * 2, DELAY_MAX_MS);
  }
}
