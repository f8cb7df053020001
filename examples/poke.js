// SPDX-License-Identifier: Apache-2.0
//
// poke.js: tells a page at once when there is something to pull.
//
//	import {poke} from './poke.js';
//
//	const stop = poke({
//		url: '/replicache/poke',
//		onPoke: () => replicache.pull({now: true}),
//	});
//
// It has no dependencies: copy it. It calls onPoke once it is connected, when
// the page comes online or becomes visible, and at each change in the database,
// whoever made it. onPoke is given the version, or nothing when it isn't known
// what changed. (Replicache pulls by itself when it opens, and has to be open
// before it is told to: start when replicache.clientGroupID is known.)
//
// Options:
//
//	url          the address of /poke; may have a query of its own
//	onPoke       (version) => void
//	headers      () => object or a promise of one: sent along, asked for anew at
//	             each request. {Authorization: ...}
//	credentials  of fetch(): 'include' sends cookies to another origin
//	interval     ms between pulls where nothing better flows (10,000)
//	share        false: a connection of this tab's own. A string: the name under
//	             which tabs share one (the url); tabs that may be of different
//	             users have to give different names.
//	onState      (state) => void: 'connecting', 'stream', 'poll', 'interval' or
//	             'waiting' (for a server that failed)
//
// Three ways, found out by trying, not by looking at names:
//
//	stream    one request, an event for each change
//	poll      a request that is answered when something has changed
//	interval  a pull every now and then
//
// A way that the server refuses, or that something in between holds back, is
// left for the next one, and tried again later. The tabs of a browser elect one
// of them (Web Locks) to connect, and it tells the others (BroadcastChannel);
// without those each tab connects.

// A stream says something at once, and something more every 15 s.
const FIRST_BYTE_MS = 5_000;
const SILENCE_MS = 45_000;

// A poll is held for 25 s. One that is answered sooner than this with nothing
// new is not held at all.
const POLL_MS = 60_000;
const HELD_MS = 1_000;

// How often a way has to fail before it is left, and for how long.
const STRIKES = 2;
const AGAIN_MS = 5 * 60_000;

// Pauses after failures double from the first to the last.
const PAUSE_FIRST_MS = 1_000;
const PAUSE_LAST_MS = 30_000;

const WAYS = ['stream', 'poll', 'interval'];

export function poke(options) {
	const {url, onPoke, share = url, interval = 10_000} = options;
	const shares = share !== false && 'locks' in (globalThis.navigator ?? {})
		&& 'BroadcastChannel' in globalThis;
	const name = `poke ${share}`;
	let end = null;
	let channel = null;
	let connection = null;
	let state = '';
	let told; // the version
	let heard = 0;

	const show = (news) => {
		if (news === state) return;
		state = news;
		options.onState?.(news);
	};
	// What the connection says, here or in another tab.
	const hear = (said) => {
		heard = Date.now();
		if (said.state) show(said.state);
		if (said.hello && connection) channel.postMessage({state, version: told});
		if (!('version' in said) || (told !== undefined && said.version === told)) return;
		told = said.version;
		onPoke(told);
	};
	const tell = (said) => {
		hear(said);
		channel?.postMessage(said);
	};
	const connect = async (signal) => {
		const mine = new Connection(options, tell, signal);
		connection = mine;
		await mine.run();
		if (connection === mine) connection = null;
	};

	const start = () => {
		end = new AbortController();
		show('connecting');
		if (shares) {
			channel = new BroadcastChannel(name);
			channel.onmessage = (message) => hear(message.data);
			channel.postMessage({hello: true});
			navigator.locks
				.request(name, {signal: end.signal}, () => connect(end.signal))
				.catch(() => {});
			watchOver();
		} else {
			void connect(end.signal);
		}
	};
	// The tab that connects says something every few seconds. Should it be
	// frozen, the others help themselves.
	const watchOver = () => {
		const timer = setInterval(() => {
			if (Date.now() - heard > SILENCE_MS) onPoke();
		}, Math.max(interval, SILENCE_MS));
		end.signal.addEventListener('abort', () => clearInterval(timer));
	};
	const stop = () => {
		end?.abort();
		channel?.close();
		end = channel = null;
	};
	const hurry = (isOtherNetwork) => {
		if (!end) return;
		onPoke();
		connection?.hurry(isOtherNetwork);
	};

	const listeners = [
		[globalThis, 'online', () => hurry(true)],
		[globalThis.document, 'visibilitychange',
			() => document.visibilityState === 'visible' && hurry(false)],
		// A page that is kept to go back to must not keep a connection.
		[globalThis, 'pagehide', (event) => event.persisted && stop()],
		[globalThis, 'pageshow', (event) => event.persisted && !end && start()],
	].filter(([target]) => target?.addEventListener);
	for (const [target, event, listener] of listeners) {
		target.addEventListener(event, listener);
	}
	start();

	return () => {
		stop();
		for (const [target, event, listener] of listeners) {
			target.removeEventListener(event, listener);
		}
	};
}

class Connection {
	constructor({url, headers, credentials, interval = 10_000}, tell, signal) {
		this.url = url;
		this.headers = headers;
		this.credentials = credentials ?? 'same-origin';
		this.every = interval;
		this.tell = tell;
		this.signal = signal;
		this.version = null; // that the page was told of
		this.way = 0;
		this.left = 0; // Date.now() when the stream was left for another way
		this.strikes = 0;
		this.failures = 0;
		this.retry = PAUSE_FIRST_MS; // what the server says
		this.wake = () => {};
		this.watch = null; // of the request under way
		signal.addEventListener('abort', () => this.wake());
	}

	// Don't sit out what is left of a pause. On another network, what is
	// open is dead, and other ways may be open.
	hurry(isOtherNetwork) {
		this.failures = 0;
		if (isOtherNetwork) {
			this.way = this.strikes = 0;
			this.watch?.abort();
		}
		this.wake();
	}

	async run() {
		while (!this.signal.aborted) {
			if (this.way > 0 && Date.now() - this.left > AGAIN_MS) {
				this.way = this.strikes = 0;
			}
			let pause;
			try {
				pause = await this[WAYS[this.way]]();
				this.failures = 0;
			} catch (error) {
				pause = this.judge(error);
			}
			await this.sleep(pause);
		}
	}

	// What a failed attempt means. Returns the ms to wait.
	judge(error) {
		if (this.signal.aborted) return 0;
		if (error instanceof WrongWay) {
			// The server knows no such way: no use in asking twice.
			this.strikes = error.isFinal ? STRIKES : this.strikes + 1;
			if (this.strikes < STRIKES) return PAUSE_FIRST_MS;
			this.way = Math.min(this.way + 1, WAYS.length - 1);
			this.strikes = 0;
			this.left = Date.now();
			return 0;
		}
		// No network, or no server, or one that has enough: pull all the
		// same, which also has an expired token renewed.
		this.tell({state: 'waiting'});
		this.tell({version: undefined});
		const pause = Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** this.failures++);
		return Math.max(error.retryAfter ?? 0, jitter(pause));
	}

	async stream() {
		this.watch = new Watch(this.signal, FIRST_BYTE_MS);
		try {
			const response = await this.get('text/event-stream');
			if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
				throw new WrongWay(true);
			}
			await this.read(response.body);
		} catch (error) {
			// Held back, or gone silent.
			throw this.watch.hasExpired ? new WrongWay(false) : error;
		} finally {
			this.watch.end();
		}
		// Ended in order, by age or for a restart.
		return jitter(this.retry);
	}

	async read(body) {
		const decoder = new TextDecoder();
		const reader = body.getReader();
		let event = {};
		let rest = '';
		for (;;) {
			const {done, value} = await reader.read();
			if (done) return;
			this.watch.reset(SILENCE_MS);
			this.strikes = 0;
			this.tell({state: 'stream'});
			const lines = (rest + decoder.decode(value, {stream: true})).split('\n');
			rest = lines.pop();
			for (const line of lines) event = this.take(line.trimEnd(), event);
		}
	}

	// Take a line of an event stream; gives the event as far as it is known.
	take(line, event) {
		if (line === '') {
			const version = Number(event.data);
			if (event.event === 'poke' && Number.isSafeInteger(version)) this.learn(version);
			return {};
		}
		const [, field, value] = /^([^:]*):? ?(.*)$/su.exec(line);
		if (field === 'retry' && /^\d+$/u.test(value)) this.retry = Number(value);
		return {...event, [field]: value};
	}

	async poll() {
		const begun = Date.now();
		const isHeld = () => Date.now() - begun >= HELD_MS;
		this.watch = new Watch(this.signal, POLL_MS);
		try {
			const response = await this.get('application/json');
			const {version} = await response.json();
			this.tell({state: 'poll'});
			if (Number.isSafeInteger(version) && version !== this.version) this.learn(version);
			else if (!isHeld()) throw new WrongWay(false);
			this.strikes = 0;
		} catch (error) {
			if (this.watch.hasExpired) throw new WrongWay(false);
			// Something in between has less patience than the server.
			if (!isHeld() || this.watch.signal.aborted || error instanceof WrongWay) throw error;
		} finally {
			this.watch.end();
		}
		return 0;
	}

	interval() {
		this.tell({state: 'interval'});
		this.tell({version: undefined});
		return jitter(this.every);
	}

	// Ask for what follows the version that is known.
	async get(accept) {
		const url = this.version === null ? this.url
			: `${this.url}${this.url.includes('?') ? '&' : '?'}version=${this.version}`;
		const headers = {...await this.headers?.(), Accept: accept};
		const response = await fetch(url, {headers, credentials: this.credentials,
			cache: 'no-store', signal: this.watch.signal});
		if ([204, 404, 405, 406, 501].includes(response.status)) throw new WrongWay(true);
		if (response.status !== 200) throw new Refusal(response);
		return response;
	}

	learn(version) {
		this.version = version;
		this.tell({version});
	}

	async sleep(ms) {
		if (ms <= 0 || this.signal.aborted) return;
		let timer;
		await new Promise((resolve) => {
			this.wake = resolve;
			timer = setTimeout(resolve, ms);
		});
		clearTimeout(timer);
	}
}

// This way does not work here: never (isFinal), or not this time.
class WrongWay extends Error {
	constructor(isFinal) {
		super('wrong way');
		this.isFinal = isFinal;
	}
}

// The server says no, for now.
class Refusal extends Error {
	constructor(response) {
		super(`status ${response.status}`);
		const seconds = Number(response.headers.get('retry-after'));
		this.retryAfter = seconds > 0 ? seconds * 1000 : 0;
	}
}

// Ends a request after ms, unless it is reset meanwhile.
class Watch {
	constructor(signal, ms) {
		this.controller = new AbortController();
		this.signal = this.controller.signal;
		this.outer = signal;
		this.abort = () => this.controller.abort();
		this.hasExpired = false;
		signal.addEventListener('abort', this.abort);
		this.reset(ms);
	}

	reset(ms) {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => {
			this.hasExpired = true;
			this.abort();
		}, ms);
	}

	end() {
		clearTimeout(this.timer);
		this.outer.removeEventListener('abort', this.abort);
		this.abort();
	}
}

// Around ms, so that many clients don't come at once.
function jitter(ms) {
	return ms * (0.5 + Math.random());
}
