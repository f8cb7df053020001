// SPDX-License-Identifier: Apache-2.0
//
// Blocks of the documents as a page would have them: with the npm package, but in
// memory, and with addresses relative to that of the page. What a block declares at
// its top the later ones have, too.

import {readFileSync, readdirSync} from 'node:fs';
import {webcrypto} from 'node:crypto';
import {load} from './npm.mjs';
import {serve} from './serve.mjs';

globalThis.crypto ??= webcrypto; // Node 18 has it under another name

const page = process.env.PAGE;
const {Replicache} = await load('replicache');
const AsyncFunction = (async () => {}).constructor;

// The options that the package declares: it takes others, and ignores them.
const types = `${process.env.CHAT_BUILD}/node_modules/replicache/out`;
const declared = readdirSync(types).filter((name) => name.endsWith('.d.ts'))
	.map((name) => /interface ReplicacheOptions<[^]*?\n\}/u.exec(readFileSync(`${types}/${name}`, 'utf8')))
	.find((found) => found !== null)[0];
const options = new Set(declared.match(/^ {4}(?:readonly )?\w+(?=\??:)/gmu)
	.map((name) => name.replace('readonly ', '').trim()));

class Page extends Replicache {
	constructor(given) {
		for (const name of Object.keys(given)) {
			if (!options.has(name)) throw new Error(`Replicache has no option ${name}`);
		}
		super({kvStore: 'mem', logLevel: 'error', requestOptions: {maxDelayMs: 200}, ...given});
	}
}

const {poke} = await import('../../examples/poke.js');
globalThis.poke = (given) => poke({...given, onState: (state) => { globalThis.pokeState = state; }});
globalThis.Replicache = Page;
const modules = {
	replicache: {Replicache: Page},
	'./poke.js': {poke: globalThis.poke},
};

const RealRequest = globalThis.Request;
const realFetch = globalThis.fetch;
globalThis.Request = class extends RealRequest {
	constructor(address, init) {
		super(address instanceof RealRequest ? address : new URL(address, page), init);
	}
};
globalThis.fetch = (address, init) => realFetch(
	address instanceof RealRequest ? address : new URL(address, page), init);

for (const name of ['debug', 'info', 'log', 'warn', 'error']) {
	console[name] = (...words) => {
		if (process.env.VERBOSE) process.stderr.write(`${words.join(' ')}\n`);
	};
}

globalThis.bring = (name, ...names) => {
	const module = modules[name] ?? fail(`there is no module ${name}`);
	for (const one of names) globalThis[one] = module[one] ?? fail(`${name} has no ${one}`);
};

function fail(text) {
	throw new Error(text);
}

serve({
	options: () => [...options],

	// values: names that the block takes for granted.
	async run({text, values = {}}) {
		Object.assign(globalThis, values);
		await new AsyncFunction(text
			.replace(/^import \{(.*?)\} from '(.*?)';/gmu,
				(all, names, from) => `bring(${JSON.stringify([from, ...names.split(/, */u)]).slice(1, -1)});`)
			.replace(/^(?:const|let) (\w+) = /gmu, 'globalThis.$1 = '))();
	},

	// The value of an expression.
	value: ({text}) => new AsyncFunction(`return ${text}`)(),
});
