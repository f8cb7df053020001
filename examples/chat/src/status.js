// SPDX-License-Identifier: Apache-2.0
//
// The line that tells how the page stands with the server.

const messages = (count) => (count === 1 ? '1 message' : `${count} messages`);

const TEXT = {
	starting: () => 'Connecting…',
	online: (count) => (count ? `Sending ${messages(count)}…` : 'Online, all synced'),
	offline: (count) => (count ? `Offline, ${messages(count)} waiting` : 'Offline, you can go on writing'),
	trouble: (count) => `Server unavailable, ${count ? `${messages(count)} waiting` : 'trying again'}`,
};

// What is said aloud when the link changes; single messages are not.
const SPOKEN = {
	online: 'Online',
	offline: 'Offline. You can go on writing.',
	trouble: 'The server is unavailable.',
};

// Show the state in the given elements {line, text, announcement}.
export function showStatus(element, {link, pending}) {
	const before = element.line.dataset.state;
	const text = TEXT[link](pending.size);
	element.line.dataset.state = link;
	element.line.dataset.pending = pending.size;
	if (element.text.textContent !== text) element.text.textContent = text;
	const isNews = before !== link && (link !== 'online' || before !== 'starting');
	if (isNews && SPOKEN[link]) element.announcement.textContent = SPOKEN[link];
}
