// SPDX-License-Identifier: Apache-2.0
//
// EventSource clients, as many as the test opens: the npm package, which does
// what the standard says browsers do.

import {load} from './npm.mjs';
import {serve} from './serve.mjs';

const TIMEOUT_MS = 30_000;

const {EventSource} = await load('eventsource');
const clients = new Map();

const find = (name) => clients.get(name) ?? fail(`no client ${name}`);

function fail(text) {
	throw new Error(text);
}

serve({
	open({name, url}) {
		const client = {events: [], requests: []};
		client.source = new EventSource(url, {
			fetch(address, init) {
				client.requests.push(init.headers['Last-Event-ID'] ?? null);
				return fetch(address, init);
			},
		});
		client.source.onopen = () => client.events.push('open');
		client.source.onerror = () => client.events.push(
			client.source.readyState === EventSource.CLOSED ? 'closed' : 'error');
		client.source.addEventListener('poke', ({data, lastEventId}) =>
			client.events.push(data === lastEventId ? data : `${data}, not ${lastEventId}`));
		clients.set(name, client);
	},

	// Wait until an event happens after those that were read: "open", "error"
	// (it is coming back), "closed" (it is not), or a version. Gives all of them
	// up to it.
	async until({name, event}) {
		const {events} = find(name);
		const end = performance.now() + TIMEOUT_MS;
		while (!events.includes(event)) {
			if (performance.now() > end) fail(`no ${event}, but ${events}`);
			await new Promise((resolve) => { setTimeout(resolve, 5); });
		}
		return events.splice(0, events.indexOf(event) + 1);
	},

	// Last-Event-ID of the requests since the last question.
	requests: ({name}) => find(name).requests.splice(0),

	close({name}) {
		find(name).source.close();
		clients.delete(name);
	},
});
