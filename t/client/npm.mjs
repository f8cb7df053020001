// SPDX-License-Identifier: Apache-2.0
//
// Packages from npm, as examples/chat/build installed them in the build folder.

import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const {resolve} = createRequire(`${process.env.CHAT_BUILD}/package.json`);

// What a package exports, be it an ES or a CommonJS module.
export async function load(name) {
	const module = await import(pathToFileURL(resolve(name)).href);
	return module.default ?? module;
}
