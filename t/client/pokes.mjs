// SPDX-License-Identifier: Apache-2.0
//
// examples/poke.js in Node, and a server that behaves as it is told: well, or
// like what stands between browsers and servers.

import {createServer} from 'node:http';
import {serve} from './serve.mjs';

// Time runs this much faster, for poke.js and the server alike.
const SPEED = 10;
const HOLD_MS = 25_000;
const {setTimeout: realTimeout, Date: RealDate} = globalThis;
const epoch = RealDate.now();
globalThis.setTimeout = (callback, ms, ...rest) => realTimeout(callback, ms / SPEED, ...rest);
globalThis.Date.now = ((real) => () => epoch + (real() - epoch) * SPEED)(RealDate.now);

const {poke} = await import('../../examples/poke.js');

// How /poke behaves towards each of the ways.
let behaviour = {stream: 'flows', poll: 'holds'};
let version = 1;
const waiting = new Set();
const requests = [];

const ways = {
	flows(request, response) {
		response.writeHead(200, {'Content-Type': 'text/event-stream'});
		response.write('retry: 1000\r\n: hello\r\n\r\n');
		const known = knownVersion(request);
		const tell = () => {
			// In pieces, as they may arrive.
			response.write(`event: poke\r\nid: ${version}\r\nda`);
			response.write(`ta: ${version}\r\n\r\n`);
		};
		if (known !== version) tell();
		hold(response, tell);
	},
	// Something waits for the end of the answer before it hands it on.
	held: (request, response) => hold(response, () => {}),
	headers(request, response) {
		response.writeHead(200, {'Content-Type': 'text/event-stream'});
		response.flushHeaders();
		hold(response, () => {});
	},
	page(request, response) {
		response.writeHead(200, {'Content-Type': 'text/html'}).end('<p>Welcome!');
	},
	holds(request, response) {
		const answer = () => response.headersSent || ways.hurries(request, response);
		if (knownVersion(request) !== version) return answer();
		hold(response, answer);
		setTimeout(answer, HOLD_MS);
	},
	hurries(request, response) {
		response.writeHead(200, {'Content-Type': 'application/json'})
			.end(JSON.stringify({version}));
	},
	// A proxy with less patience.
	impatient(request, response) {
		if (knownVersion(request) !== version) return ways.hurries(request, response);
		setTimeout(() => response.destroy(), 3000);
	},
	busy(request, response) {
		response.writeHead(503, {'Retry-After': '3'}).end();
	},
};

function hold(response, tell) {
	waiting.add(tell);
	response.on('close', () => waiting.delete(tell));
}

function knownVersion({url}) {
	return Number(new URL(url, 'http://x').searchParams.get('version'));
}

const server = createServer((request, response) => {
	const way = request.headers.accept.includes('event-stream') ? 'stream' : 'poll';
	const how = behaviour[way];
	requests.push({way, version: knownVersion(request), token: request.headers.authorization});
	if (ways[how]) ways[how](request, response);
	else response.writeHead(Number(how)).end();
});

const pokes = new Map();

serve({
	// A server; gives its address.
	listen: () => new Promise((resolve) => {
		server.listen(0, '127.0.0.1', () =>
			resolve(`http://127.0.0.1:${server.address().port}/poke`));
	}),

	behave({...how}) {
		delete how.do;
		behaviour = how;
	},

	change() {
		version++;
		for (const tell of [...waiting]) tell();
		return version;
	},

	// A change that nobody is told of, as when all connections are down.
	changeUnseen: () => ++version,

	cut: () => server.closeAllConnections(),

	requests: () => requests.splice(0),

	open({name, url, token}) {
		const events = [];
		let number = 0;
		const stop = poke({
			url,
			headers: token ? async () => ({Authorization: `${token} ${++number}`}) : undefined,
			onPoke: (told) => events.push(told ?? 'pull'),
			onState: (state) => events.push(state),
		});
		pokes.set(name, {events, stop});
	},

	// Wait until an event happens after those that were read; gives all of them
	// up to it.
	async until({name, event}) {
		const {events} = pokes.get(name);
		const end = performance.now() + 20_000;
		while (!events.includes(event)) {
			if (performance.now() > end) throw new Error(`no ${event}, but ${events}`);
			await new Promise((resolve) => { realTimeout(resolve, 5); });
		}
		return events.splice(0, events.indexOf(event) + 1);
	},

	close({name}) {
		pokes.get(name).stop();
		pokes.delete(name);
	},
});
