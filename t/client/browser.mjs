// SPDX-License-Identifier: Apache-2.0
//
// Chromium, driven by playwright-core: the test names a window, a method of
// playwright's Page and its arguments.

import {load} from './npm.mjs';
import {serve} from './serve.mjs';

const TIMEOUT_MS = 20_000;

const {chromium} = await load('playwright-core');
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM,
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
		'--disable-background-networking', '--disable-component-update',
		'--disable-sync'],
});
const contexts = new Map();
const pages = new Map();
const problems = [];

serve({
	// Open a window in a profile of its own, or in an open one's (a tab).
	async open({window, profile = window, options = {}, url}) {
		if (!contexts.has(profile)) {
			contexts.set(profile, await browser.newContext(options));
		}
		const page = await contexts.get(profile).newPage();
		page.setDefaultTimeout(TIMEOUT_MS);
		page.on('pageerror', (error) => problems.push(String(error)));
		page.on('console', (message) => {
			if (message.type() === 'error') problems.push(message.text());
		});
		pages.set(window, page);
		await page.goto(url);
	},

	async call({window, method, args}) {
		const result = await pages.get(window)[method](...args);
		// Handles of elements have no meaning outside.
		return typeof result === 'object' && result?.constructor !== Object
			&& !Array.isArray(result) ? null : result;
	},

	// Wait until the expression is true in the page. (Playwright's own
	// waitForFunction needs eval, which the page's policy forbids.)
	async until({window, expression}) {
		const end = performance.now() + TIMEOUT_MS;
		while (!await pages.get(window).evaluate(expression)) {
			if (performance.now() > end) throw new Error(`never: ${expression}`);
			await new Promise((resolve) => { setTimeout(resolve, 20); });
		}
	},

	offline: ({profile, offline}) => contexts.get(profile).setOffline(offline),

	// Errors of the pages since the last question.
	problems: () => problems.splice(0),

	close: ({window}) => pages.get(window).close(),
});
