// SPDX-License-Identifier: Apache-2.0
//
// When to ask the server for news, and to offer it ours.

import {poke} from '../../poke.js';

// Keep a Replicache fresh for as long as the page is open.
export function keepFresh(replicache, url) {
	// Only a net below the pokes.
	replicache.pullInterval = 60_000;
	void replicache.clientGroupID.then(() =>
		poke({url, onPoke: () => void replicache.pull({now: true})}));

	// Back from a sleep or a tunnel: don't sit out what is left of a pause.
	const hurry = () => void replicache.push({now: true});
	addEventListener('online', hurry);
	addEventListener('pageshow', (event) => event.persisted && hurry());
	document.addEventListener('visibilitychange', () => {
		if (document.visibilityState === 'visible') hurry();
	});
}
