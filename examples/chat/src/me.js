// SPDX-License-Identifier: Apache-2.0
//
// Who is writing. A window keeps its own name, so that two windows can be two
// people; a new window starts with the name chosen last.

const KEY = 'chat/name';
const FIRST = ['Amber', 'Brisk', 'Calm', 'Daring', 'Early', 'Fond', 'Gentle',
	'Hazel', 'Ivory', 'Jolly', 'Keen', 'Lively', 'Mellow', 'Noble', 'Olive',
	'Quiet', 'Rustic', 'Sunny', 'Tidy', 'Witty'];
const SECOND = ['Badger', 'Crane', 'Dove', 'Finch', 'Fox', 'Heron', 'Ibex',
	'Jay', 'Lark', 'Lynx', 'Marten', 'Newt', 'Otter', 'Owl', 'Puffin', 'Robin',
	'Seal', 'Stoat', 'Swift', 'Wren'];

const pick = (words) => words[Math.floor(Math.random() * words.length)];

let name = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);

export const myName = () => name;

export function rename(text) {
	const chosen = text.trim();
	if (chosen === '') return;
	name = chosen;
	sessionStorage.setItem(KEY, name);
	localStorage.setItem(KEY, name);
}

rename(name ?? `${pick(FIRST)} ${pick(SECOND)}`);
