/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who a request is from, as the database is told for one transaction:
 * replicache_user_id() and replicache_claim() give it back in SQL.
 */
#ifndef REPLICACHE_IDENTITY_H
#define REPLICACHE_IDENTITY_H

struct identity {
	const char *user;   /* UTF-8; "" is nobody in particular */
	const char *claims; /* of the token, a JSON object; "" if none */
};

#endif
