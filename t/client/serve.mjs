// SPDX-License-Identifier: Apache-2.0
//
// The Node side of Rig::Node: a test in Perl asks, this answers. A question is
// a line of JSON {"do": NAME, ...}, its answer {"result": ...} or
// {"error": TEXT}. Questions are answered one after the other.

import {createInterface} from 'node:readline';

// Answer with the function of that name in handlers, which gets the question,
// until standard input ends.
export async function serve(handlers) {
	for await (const line of createInterface({input: process.stdin})) {
		const question = JSON.parse(line);
		let answer;
		try {
			const result = await handlers[question.do](question);
			answer = {result: result ?? null};
		} catch (error) {
			answer = {error: String(error?.stack ?? error)};
		}
		process.stdout.write(`${JSON.stringify(answer)}\n`);
	}
	process.exit(0);
}
