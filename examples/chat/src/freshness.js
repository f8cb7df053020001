// SPDX-License-Identifier: Apache-2.0
//
// When to ask the server for news. The only place that knows: a stream of
// events can take its place without a change elsewhere.

const PERIOD_MS = 1000;

// Keep a Replicache fresh for as long as the page is open.
export function keepFresh(replicache) {
	replicache.pullInterval = PERIOD_MS;

	// Back from a sleep or a tunnel: don't sit out what is left of a pause.
	const hurry = () => {
		void replicache.push({now: true});
		void replicache.pull({now: true});
	};
	addEventListener('online', hurry);
	addEventListener('pageshow', (event) => event.persisted && hurry());
	document.addEventListener('visibilitychange', () => {
		if (document.visibilityState === 'visible') hurry();
	});
}
