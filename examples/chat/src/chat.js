// SPDX-License-Identifier: Apache-2.0
//
// The chat page: joins its parts.

import {myName, rename} from './me.js';
import {MessageList, readMessages} from './messages.js';
import {showStatus} from './status.js';
import {openChat} from './sync.js';

const element = (id) => document.getElementById(id);

const statusLine = {
	line: element('status'),
	text: element('status-text'),
	announcement: element('announcement'),
};
const chat = openChat((state) => {
	showStatus(statusLine, state);
	list.showPending(state.pending);
});
const list = new MessageList({
	log: element('log'),
	list: element('messages'),
	empty: element('empty'),
	earlier: element('earlier'),
	newest: element('newest'),
}, (id) => chat.mutate.deleteMessage(id));

let messages = [];
const show = () => list.showMessages(messages, myName());
chat.subscribe(readMessages, (result) => {
	messages = result;
	show();
});

// My name.
const name = element('name');
name.value = myName();
name.addEventListener('change', () => {
	rename(name.value);
	name.value = myName();
	show();
});
element('me').addEventListener('submit', (event) => {
	event.preventDefault();
	content.focus();
});

// My next message.
const content = element('content');
const composer = element('composer');
composer.addEventListener('submit', (event) => {
	event.preventDefault();
	const text = content.value.trim();
	if (text !== '') {
		void chat.mutate.createMessage({
			id: randomID(),
			from: myName(),
			content: text,
			order: list.nextOrder,
		});
	}
	content.value = '';
	grow();
	content.focus();
});
content.addEventListener('keydown', (event) => {
	if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
	event.preventDefault();
	composer.requestSubmit();
});
content.addEventListener('input', grow);

// The box is as high as its text, up to the style sheet's max-height.
function grow() {
	element('send').disabled = content.value.trim() === '';
	content.style.height = 'auto';
	content.style.height = `${content.scrollHeight}px`;
}
grow();

// 120 random bits; crypto.randomUUID would need https.
function randomID() {
	const bytes = crypto.getRandomValues(new Uint8Array(15));
	return btoa(String.fromCharCode(...bytes)).replace(/\+/gu, '-').replace(/\//gu, '_');
}

// The page itself, for a visit without a network.
if ('serviceWorker' in navigator) {
	navigator.serviceWorker.register('worker.js').catch(console.warn);
}
