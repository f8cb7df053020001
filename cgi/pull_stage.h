/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a pull: what its stages share. For pull*.c alone.
 */
#ifndef REPLICACHE_PULL_STAGE_H
#define REPLICACHE_PULL_STAGE_H

#include "cookie.h"
#include "exchange.h"
#include "gather.h"
#include "identity.h"
#include "protocol.h"
#include "share.h"

struct app;
struct db;
struct db_result;
struct error;
struct registration;

/* How often a pull is tried: it starts over when what it was planned on has
 * changed, or its connection was lost. */
#define PULL_TRIES_MAX 5

/* How often it looks again because others read just then what it needs. */
#define PULL_SHARES_MAX 5

/* The digits of an int64, its sign and a NUL. */
#define PULL_NUMBER_SIZE 24

/* What the client is to be told. */
enum pull_mode {
	PULL_NOTHING, /* it is up to date */
	PULL_DELTA,   /* what is above its cookie */
	PULL_FIRST,   /* everything; its view is empty */
	PULL_RESET,   /* clear, then everything */
};

/* Where the database stands, of one snapshot. */
struct pull_stand {
	int64_t version, floor;
	struct share_history history;
	bool standby; /* which may lag behind the primary */
	bool lost;    /* the cookie is of a state that it never was in */
	const char
	    *clients; /* members of lastMutationIDChanges; of the arena */
	size_t clients_length;
};

/* A pull under way. Lives in the arena of its exchange. */
struct pulling {
	struct gather_job link; /* the first member */
	struct exchange *exchange;
	struct pull request;
	struct identity identity;
	char since[PULL_NUMBER_SIZE]; /* the cookie's version; "-1" if none */
	char of[COOKIE_OF_SIZE]; /* whose view it is to be; "": everybody's */
	struct pull_stand stand;
	enum pull_mode mode;
	int tries, shares;
};

/*
 * Sends, as part of a group, the look for COUNT pulls. What the groups' clients
 * have done since the cookie is told even to a client that starts over, but
 * nothing older: after a restored backup it could be less than the client knows
 * already, which it would refuse.
 */
int pull_send_look(struct db *db, struct pulling *const *pulls, size_t count,
    struct error *error);

/*
 * Reads row ROW of a look's result, which is p's. HIGHEST is what
 * share_highest() gave before the look was sent. ERROR_CLIENT_STATE_NOT_FOUND
 * if the group is another user's: by ERROR_FORBIDDEN the client would show that
 * user's rows for ever. It starts a new group, which is the asker's.
 */
int pull_read_look(struct pulling *p, const struct db_result *rows, int row,
    int64_t highest, struct error *error);

/* Sets whose view P is to get of what REGISTRATION has registered. -1 when out
 * of memory. */
int pull_set_viewer(struct pulling *p, const struct registration *registration,
    struct error *error);

/* The cookie against where the database stands, and whose view it is (design
 * section 5).
 * ERROR_COOKIE_FROM_FUTURE if that is behind, or went another way. */
int pull_choose_mode(
    const struct pulling *p, enum pull_mode *mode_out, struct error *error);

/* Writes the answer up to the first operation of the patch. */
void pull_write_head(struct pulling *p);

/* Has the answer sent that is in the response. */
void pull_answered(struct pulling *p);

/* Has the answer to ERROR sent. */
void pull_refuse(struct pulling *p, const struct error *error);

/* The second stage: reads rows and answers, in a thread that may wait. To be
 * resumed with. */
enum exchange_state pull_rows(struct exchange *exchange);

/* Looks (again) for P. It may be answered before this returns. */
void pull_submit(struct pulling *p);

#endif
