// SPDX-License-Identifier: Apache-2.0
//
// The local copy, and how it stands with the server.

import {Replicache, getDefaultPuller} from 'replicache';
import {keepFresh} from './freshness.js';
import {mutators} from './mutators.js';

const SERVER = '/replicache';

// The longest pause after failures: a person is watching.
const MAX_PAUSE_MS = 5000;

// Open the local copy and start to sync it. onState is called with each
// change of {link, pending}: link is 'starting', 'online', 'offline' (nothing was
// reached, or the browser says that nothing can be) or 'trouble' (the server could not answer); pending is the set of
// the IDs of messages the server has not confirmed yet.
export function openChat(onState) {
	const endpoint = {pullURL: `${SERVER}/pull`, auth: ''};
	const pull = getDefaultPuller(endpoint);
	let answered = false;
	let status = 200;

	const replicache = new Replicache({
		name: 'chat',
		pushURL: `${SERVER}/push`,
		pullURL: endpoint.pullURL,
		requestOptions: {maxDelayMs: MAX_PAUSE_MS},
		mutators,
		// The default one; it is listened to because "online" alone
		// does not tell an answer from a refusal.
		async puller(body, requestID) {
			const result = await pull(body, requestID);
			status = result.httpRequestInfo.httpStatusCode;
			answered = true;
			return result;
		},
	});

	const link = () => {
		if (!navigator.onLine || !replicache.online) return 'offline';
		if (!answered) return 'starting';
		return status === 200 ? 'online' : 'trouble';
	};
	const report = async () => {
		const mutations = await replicache.experimentalPendingMutations();
		onState({link: link(), pending: new Set(mutations.map(subject))});
	};

	replicache.onSync = report;
	replicache.onOnlineChange = report;
	// Between pokes nothing is asked that would fail.
	addEventListener('offline', report);
	addEventListener('online', report);
	replicache.subscribe((tx) => tx.scan().keys().toArray(), report);
	keepFresh(replicache, `${SERVER}/poke`);
	return replicache;
}

// The message a mutation is about.
function subject({name, args}) {
	return name === 'createMessage' ? args.id : args;
}
