// SPDX-License-Identifier: Apache-2.0
//
// Packages from npm, as examples/chat/build installed them in the build folder.

import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const {resolve} = createRequire(`${process.env.CHAT_BUILD}/package.json`);

export const load = (name) => import(pathToFileURL(resolve(name)).href);
