// SPDX-License-Identifier: Apache-2.0
//
// The list of messages on the page.

import {PREFIX} from './mutators.js';

// How many messages are shown at first, and with each wish for earlier ones.
const PAGE = 200;

// The messages of a scan, as {id, from, content, order}, in the order in which
// they are read.
export async function readMessages(tx) {
	const entries = await tx.scan({prefix: PREFIX}).entries().toArray();
	return entries
		.map(([key, value]) => ({
			id: key.slice(PREFIX.length),
			from: String(value.from ?? ''),
			content: String(value.content ?? ''),
			order: Number(value.order ?? 0),
		}))
		.sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1));
}

// A list in the given elements {log, list, empty, earlier, newest}.
// onDelete(id) is called when a message's delete button is pressed.
export class MessageList {
	#element;
	#onDelete;
	#items = new Map();
	#messages = [];
	#pending = new Set();
	#limit = PAGE;
	#me = '';

	constructor(element, onDelete) {
		this.#element = element;
		this.#onDelete = onDelete;
		element.earlier.addEventListener('click', () => this.#showEarlier());
		element.newest.addEventListener('click', () => this.#toEnd('smooth'));
		element.log.addEventListener('scroll', () => {
			if (this.#isAtEnd()) element.newest.hidden = true;
		}, {passive: true});
		new ResizeObserver(() => {
			if (element.newest.hidden) this.#toEnd();
		}).observe(element.log);
	}

	// The order that puts a message last.
	get nextOrder() {
		return (this.#messages.at(-1)?.order ?? 0) + 1;
	}

	showMessages(messages, me) {
		const wasAtEnd = this.#isAtEnd();
		const isFirst = this.#element.log.ariaBusy === 'true';
		const before = this.nextOrder;
		this.#messages = messages;
		this.#me = me;
		this.#draw();
		this.#element.log.ariaBusy = 'false';
		const newest = messages.at(-1);
		const isNew = this.nextOrder > before;
		if (isFirst || wasAtEnd || (isNew && newest.from === me)) {
			this.#toEnd(isFirst ? 'instant' : 'smooth');
		} else if (isNew) {
			this.#element.newest.hidden = !this.#overflows();
		}
	}

	showPending(pending) {
		this.#pending = pending;
		for (const [id, item] of this.#items) {
			item.classList.toggle('pending', pending.has(id));
		}
	}

	#draw() {
		const shown = this.#messages.slice(-this.#limit);
		this.#element.earlier.hidden = shown.length === this.#messages.length;
		this.#element.empty.hidden = this.#messages.length > 0;
		this.#removeAbsent(new Set(shown.map(({id}) => id)));

		let previous = null;
		for (const message of shown) {
			let item = this.#items.get(message.id);
			if (item === undefined) {
				item = this.#createItem(message.id);
				this.#items.set(message.id, item);
			}
			fill(item, message, previous, this.#me);
			item.classList.toggle('pending', this.#pending.has(message.id));
			const place = previous === null ? this.#element.list.firstChild
				: this.#items.get(previous.id).nextSibling;
			if (place !== item) this.#element.list.insertBefore(item, place);
			previous = message;
		}
	}

	#removeAbsent(kept) {
		for (const [id, item] of this.#items) {
			if (kept.has(id)) continue;
			// Whoever deletes with the keyboard stays in the list.
			if (item.contains(document.activeElement)) {
				const neighbour = item.nextElementSibling ?? item.previousElementSibling;
				(neighbour?.querySelector('button') ?? this.#element.log).focus();
			}
			item.remove();
			this.#items.delete(id);
		}
	}

	#createItem(id) {
		const item = document.createElement('li');
		item.className = 'message';
		item.dataset.id = id;
		item.innerHTML = `
			<span class="avatar" aria-hidden="true"></span>
			<div class="bubble"><p class="from"></p><p class="content"></p></div>
			<span class="wait" title="Not confirmed by the server yet"><span class="unseen">not sent yet</span></span>
			<button class="delete" type="button" title="Delete">
				<svg viewBox="0 0 24 24" width="16" height="16" aria-hidden="true"><path d="M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5"/></svg>
			</button>`;
		item.querySelector('.delete').addEventListener('click', () => this.#onDelete(id));
		return item;
	}

	#showEarlier() {
		const {log} = this.#element;
		const below = log.scrollHeight - log.scrollTop;
		this.#limit += PAGE;
		this.#draw();
		log.scrollTop = log.scrollHeight - below;
		log.focus();
	}

	#isAtEnd() {
		const {log} = this.#element;
		return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
	}

	#overflows() {
		const {log} = this.#element;
		return log.scrollHeight > log.clientHeight;
	}

	#toEnd(behavior = 'instant') {
		const {log, newest} = this.#element;
		newest.hidden = true;
		if (matchMedia('(prefers-reduced-motion: reduce)').matches) behavior = 'instant';
		log.scrollTo({top: log.scrollHeight, behavior});
	}
}

function fill(item, {from, content}, previous, me) {
	const name = from.trim() === '' ? 'Somebody' : from;
	item.classList.toggle('mine', from === me);
	item.classList.toggle('continued', previous?.from === from);
	const avatar = item.querySelector('.avatar');
	avatar.textContent = initials(name);
	avatar.dataset.hue = hue(name);
	setText(item.querySelector('.from'), name);
	setText(item.querySelector('.content'), content);
	const label = content.length > 60 ? `${content.slice(0, 60)}…` : content;
	item.querySelector('.delete').ariaLabel = `Delete message from ${name}: ${label}`;
}

// Leaves equal text alone: a change would be read aloud again.
function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function initials(name) {
	const words = name.trim().split(/\s+/u);
	const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
	return letters.map((word) => [...word][0]).join('').toUpperCase();
}

// One of eight colours, the same for a name everywhere.
function hue(name) {
	let sum = 0;
	for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 65521;
	return sum % 8;
}
