// SPDX-License-Identifier: Apache-2.0
//
// What a person can do to the chat. Each runs here at once, on the local copy,
// and again on the server, as the SQL function of the same purpose in
// schema/chat.sql.

export const PREFIX = 'message/';

export const mutators = {
	async createMessage(tx, {id, from, content, order}) {
		await tx.set(PREFIX + id, {from, content, order});
	},

	async deleteMessage(tx, id) {
		await tx.del(PREFIX + id);
	},
};
