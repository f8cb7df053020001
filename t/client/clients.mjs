// SPDX-License-Identifier: Apache-2.0
//
// Replicache clients, as many as the test opens: the npm package as it is, in
// memory. Clients of the same name are tabs of one browser: one client group.

import {webcrypto} from 'node:crypto';
import {mutators as chat} from '../../examples/chat/src/mutators.js';
import {load} from './npm.mjs';
import {serve} from './serve.mjs';

globalThis.crypto ??= webcrypto; // Node 18 has it under another name

const {Replicache} = await load('replicache');
const server = process.env.SERVER;
const clients = new Map();
const requests = [];
const planned = [];

const library = {
	...chat,

	// Not idempotent: shows how often it ran, and in which order.
	async appendMessage(tx, {id, text}) {
		const message = await tx.get(`message/${id}`);
		if (message === undefined) return;
		await tx.set(`message/${id}`, {...message, content: message.content + text});
	},

	// Of schema/rooms.sql.
	async createRoom(tx, {id, name}) {
		await tx.set(`room/${id}`, {id, name});
	},

	async invite() {},

	async leaveRoom() {},

	async sayInRoom(tx, {id, room, content}) {
		await tx.set(`room_message/${id}`, {id, room_id: room, content});
	},

	// Of t/sql/history.sql. They do nothing here, so what a client shows is
	// what it got from the server.
	async add() {},
	async toggle() {},
	async own() {},
	async show() {},
	async fail() {},
	async shaky() {},

	// The server has no mutator of this name.
	async unknownMutator(tx, {id, ...message}) {
		await tx.set(`message/${id}`, message);
	},

	// The server's fails, after it has written.
	async failingMutator(tx, {id, ...message}) {
		await tx.set(`message/${id}`, message);
	},
};

// The last of the mutations of each client.
const lastOf = (mutations) =>
	Object.fromEntries(mutations.map(({clientID, id}) => [clientID, id]));

// Every request, as the server sees it; with HISTORY, what was answered too.
const realFetch = globalThis.fetch;
globalThis.fetch = async (request) => {
	const {clientGroupID, cookie, mutations} = await request.clone().json();
	const entry = {
		path: new URL(request.url).pathname.replace(/^.*\//u, ''),
		clientGroupID,
		cookie,
		mutations: mutations?.length,
		status: 0,
	};
	const start = performance.now();
	try {
		// What a server answered that was there before ours.
		const earlier = entry.path === 'pull' ? planned.shift() : undefined;
		const response = earlier === undefined ? await realFetch(request)
			: new Response(JSON.stringify(earlier));
		entry.status = response.status;
		if (process.env.HISTORY && response.status === 200) {
			if (mutations) entry.acked = lastOf(mutations);
			else entry.answer = await response.clone().json().catch(() => null);
		}
		return response;
	} finally {
		entry.ms = performance.now() - start;
		requests.push(entry);
	}
};

// Console lines of the package would be lost in the answers.
for (const name of ['debug', 'info', 'log', 'warn', 'error']) {
	console[name] = (...words) => {
		if (process.env.VERBOSE) process.stderr.write(`${words.join(' ')}\n`);
	};
}

const find = (client) => clients.get(client) ?? fail(`no client ${client}`);

function fail(text) {
	throw new Error(text);
}

serve({
	// tokens: what getAuth gives, one after the other, null at their end.
	async open({client, name, mutators, schemaVersion = '', pullInterval = null,
		auth, tokens}) {
		const names = mutators ?? Object.keys(library);
		const replicache = new Replicache({
			name,
			schemaVersion,
			auth,
			kvStore: 'mem',
			pushURL: `${server}/push`,
			pullURL: `${server}/pull`,
			pullInterval,
			requestOptions: {maxDelayMs: 200},
			mutators: Object.fromEntries(names.map((key) => [key, library[key]])),
		});
		const events = [];
		replicache.onClientStateNotFound = () => events.push('clientStateNotFound');
		replicache.onUpdateNeeded = ({type, versionType}) =>
			events.push(`updateNeeded ${type} ${versionType ?? ''}`.trim());
		if (tokens) {
			replicache.getAuth = () => {
				events.push('getAuth');
				return tokens.shift() ?? null;
			};
		}
		clients.set(client, {replicache, events});
		return {
			clientID: replicache.clientID,
			clientGroupID: await replicache.clientGroupID,
		};
	},

	// calls: [name, args] each; made at once, in order.
	async mutate({client, calls}) {
		const {mutate} = find(client).replicache;
		await Promise.all(calls.map(([name, args]) => mutate[name](args)));
	},

	async view({client}) {
		const {replicache} = find(client);
		const entries = await replicache.query((tx) => tx.scan().entries().toArray());
		return Object.fromEntries(entries);
	},

	async pending({client}) {
		const list = await find(client).replicache.experimentalPendingMutations();
		return list.map(({id, name, clientID}) => ({id, name, clientID}));
	},

	// These two only start: closing the client ends them early.
	pull({client}) {
		find(client).replicache.pull({now: true}).catch(() => {});
	},

	push({client}) {
		find(client).replicache.push({now: true}).catch(() => {});
	},

	// What the next pull, whoever's, is answered instead of by the server.
	plan: ({answer}) => {
		planned.push(answer);
	},

	online: ({client}) => find(client).replicache.online,

	events: ({client}) => find(client).events,

	// The requests of all clients since the last question.
	requests: () => requests.splice(0),

	async close({client}) {
		await find(client).replicache.close();
		clients.delete(client);
	},
});
