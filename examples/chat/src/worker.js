// SPDX-License-Identifier: Apache-2.0
//
// Keeps a copy of the page's own files, so that it opens without a network.
// The network comes first: the copy is never the reason to see an old page.

const CACHE = 'chat';
const FILES = ['./', 'chat.css', 'chat.js', 'icon.svg'];

self.addEventListener('install', (event) => {
	event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
	void self.skipWaiting();
});

self.addEventListener('activate', (event) => {
	event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
	const {request} = event;
	const {origin, pathname} = new URL(request.url);
	const isOurs = origin === location.origin && !pathname.startsWith('/replicache/');
	if (request.method === 'GET' && isOurs) event.respondWith(answer(request));
});

async function answer(request) {
	const cache = await caches.open(CACHE);
	try {
		const response = await fetch(request);
		if (response.ok) await cache.put(request, response.clone());
		return response;
	} catch (error) {
		const copy = await cache.match(request, {ignoreSearch: true});
		if (copy === undefined) throw error;
		return copy;
	}
}
