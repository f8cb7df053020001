// SPDX-License-Identifier: Apache-2.0
//
// The reference: the Global Version strategy as the public walkthrough teaches
// it, on its libraries. One transaction a mutation, REPEATABLE READ, which first
// locks the one row that holds the version; what PostgreSQL refuses for the sake
// of isolation is run again, as the public samples do.
//
// Where the walkthrough leaves something open the faster way is taken: numbered
// statements, no ETag, no access log, no poke.

import {createRequire} from 'node:module';
import {rmSync} from 'node:fs';

const require = createRequire(`${process.env.PACKAGES}/package.json`);
const express = require('express');
const pgPromise = require('pg-promise');

const {TransactionMode, isolationLevel} = pgPromise.txMode;
const mode = new TransactionMode({tiLevel: isolationLevel.repeatableRead});
const serverID = 1;

// The samples give up after 10 tries, and the client comes again: that would
// only cost more.
const triesMax = 10000;

const pgp = pgPromise({noWarnings: true});
pgp.pg.types.setTypeParser(20, Number); // bigint
// PGHOST and the like tell where. POOL: the most connections; the library's own
// default is 10.
const db = pgp({max: Number(process.env.POOL)});

async function tx(f) {
	for (let tries = 1; ; tries++) {
		try {
			return await db.tx({mode}, f);
		} catch (error) {
			const again = error.code === '40001' || error.code === '40P01';
			if (!again || tries === triesMax)
				throw error;
		}
	}
}

async function getLastMutationID(t, clientID) {
	const row = await t.oneOrNone(
	    'select last_mutation_id from replicache_client where id = $1', clientID);
	return row ? row.last_mutation_id : 0;
}

async function setLastMutationID(t, clientID, groupID, mutationID, version) {
	const result = await t.result(
	    'update replicache_client set client_group_id = $2, last_mutation_id = $3, version = $4 where id = $1',
	    [clientID, groupID, mutationID, version]);
	if (result.rowCount === 0)
		await t.none(
		    'insert into replicache_client (id, client_group_id, last_mutation_id, version) values ($1, $2, $3, $4)',
		    [clientID, groupID, mutationID, version]);
}

const mutators = {
	async createMessage(t, {id, from, content, order}, version) {
		await t.none(
		    'insert into message (id, sender, content, ord, deleted, version) values ($1, $2, $3, $4, false, $5)',
		    [id, from, content, order, version]);
	},
	async deleteMessage(t, {id}, version) {
		await t.none(
		    'update message set deleted = true, version = $2 where id = $1',
		    [id, version]);
	},
};

async function processMutation(t, groupID, mutation, failed) {
	const {clientID} = mutation;
	const {version: previous} = await t.one(
	    'select version from replicache_server where id = $1 for update', serverID);
	const version = previous + 1;
	const next = await getLastMutationID(t, clientID) + 1;
	if (mutation.id < next)
		return;
	if (mutation.id > next)
		throw new Error(`mutation ${mutation.id} is from the future`);
	if (!failed) {
		const mutator = mutators[mutation.name];
		if (!mutator)
			throw new Error(`unknown mutation: ${mutation.name}`);
		await mutator(t, mutation.args, version);
	}
	await setLastMutationID(t, clientID, groupID, next, version);
	await t.none('update replicache_server set version = $1 where id = $2',
	    [version, serverID]);
}

// A mutation whose mutator fails is stepped over; one that could not be tried is
// not.
async function push({clientGroupID, mutations}) {
	for (const mutation of mutations) {
		try {
			await tx(t => processMutation(t, clientGroupID, mutation, false));
		} catch (error) {
			if (error.code === '40001' || error.code === '40P01')
				throw error;
			await tx(t => processMutation(t, clientGroupID, mutation, true));
		}
	}
	return {};
}

function pull({clientGroupID, cookie}) {
	const from = cookie ?? 0;
	return tx(async t => {
		const {version} = await t.one(
		    'select version from replicache_server where id = $1', serverID);
		const clients = await t.manyOrNone(
		    'select id, last_mutation_id from replicache_client where client_group_id = $1 and version > $2',
		    [clientGroupID, from]);
		const rows = await t.manyOrNone(
		    'select id, sender, content, ord, deleted from message where version > $1',
		    from);
		const patch = [];
		for (const {id, sender, content, ord, deleted} of rows) {
			if (!deleted)
				patch.push({op: 'put', key: `message/${id}`,
				    value: {from: sender, content, order: ord}});
			else if (cookie !== null)
				patch.push({op: 'del', key: `message/${id}`});
		}
		return {
			cookie: version,
			lastMutationIDChanges: Object.fromEntries(
			    clients.map(c => [c.id, c.last_mutation_id])),
			patch,
		};
	});
}

function answer(work) {
	return async (request, response) => {
		try {
			response.json(await work(request.body));
		} catch (error) {
			console.error(error);
			response.status(500).send(error.toString());
		}
	};
}

const app = express();
app.disable('etag');
app.disable('x-powered-by');
app.use(express.json({limit: '64mb'}));
app.post('/:name/push', answer(push));
app.post('/:name/pull', answer(pull));

rmSync(process.env.SOCKET, {force: true});
const server = app.listen(process.env.SOCKET);
server.keepAliveTimeout = 0;
process.on('SIGTERM', () => process.exit(0));
