/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Errors: what a function that can fail tells its caller.
 *
 * The convention of the whole program: a function that can fail returns 0 or
 * -1 and takes a `struct error *` as its last parameter, never NULL. It fails
 * with a single
 *
 *	return error_set(error, ERROR_X, "what happened: %s", detail);
 *
 * Its callers return -1 in turn, adding and logging nothing. Whoever answers
 * the request logs the error once and translates the code once. After a
 * success the contents of the error are unspecified.
 *
 * Three texts belong to an error, for three readers:
 *   error_name()		the client program: a fixed word per code
 *   error_public_text()	its user: a fixed sentence per code
 *   error.message	the operator: details, only ever for the log
 */
#ifndef REPLICACHE_ERROR_H
#define REPLICACHE_ERROR_H

/* Room for a message, NUL included. The log cuts lines at 1024 bytes; half of
 * that leaves place for what the log adds and for escaped bytes. */
#define ERROR_MESSAGE_MAX 512

/* Five characters and a NUL. The length is SQL's own. */
#define ERROR_SQLSTATE_SIZE 6

/*
 * What the client should do differently, not what went wrong inside. The
 * HTTP status of each is the business of cgi/response.c.
 */
enum error_code {
	ERROR_NONE, /* no error: what a zeroed struct error says */

	/* The HTTP request is not one for this program. */
	ERROR_NOT_FOUND,              /* no such path */
	ERROR_METHOD_NOT_ALLOWED,     /* the path takes other methods */
	ERROR_UNSUPPORTED_MEDIA_TYPE, /* not plain application/json */
	ERROR_BAD_CONTENT_LENGTH,     /* not a number of bytes */
	ERROR_BODY_TRUNCATED,         /* shorter than CONTENT_LENGTH */
	ERROR_BODY_MISMATCH,          /* longer than CONTENT_LENGTH */
	ERROR_BODY_TOO_LARGE,         /* above the limit */

	/* Who asks is not known, or may not. */
	ERROR_UNAUTHORIZED,  /* nobody is named */
	ERROR_INVALID_TOKEN, /* a token that proves nothing, or no more */
	ERROR_CROSS_SITE,    /* a page of another site, in its user's name */
	ERROR_TOO_FAST,      /* more mutations than a user may have a second */

	/* The body is not what the protocol asks for. */
	ERROR_INVALID_JSON,    /* not JSON by RFC 8259 */
	ERROR_TOO_DEEP,        /* nested beyond SCAN_DEPTH_MAX */
	ERROR_TOO_MANY_TOKENS, /* more values than the limit */
	ERROR_INVALID_REQUEST, /* a field missing, twice or of a wrong type */
	ERROR_INVALID_ID,      /* a mutation ID that is no ID */
	ERROR_CLIENT_TOO_OLD,  /* pushVersion or pullVersion 0 */

	/* The request is well formed, but can't be done. */
	ERROR_MUTATION_GAP,       /* mutation IDs miss one of a known client */
	ERROR_FORBIDDEN,          /* the group or client is somebody else's */
	ERROR_UNAVAILABLE,        /* for now: try again */
	ERROR_POKE_FULL,          /* as many streams as there may be */
	ERROR_POKE_USER_FULL,     /* the same, of this user */
	ERROR_COOKIE_FROM_FUTURE, /* the database has lost history */
	ERROR_INTERNAL,           /* a bug */

	/* Told to Replicache by a 200 (protocol section 6). */
	ERROR_CLIENT_STATE_NOT_FOUND,
	ERROR_VERSION_NOT_SUPPORTED_PUSH,
	ERROR_VERSION_NOT_SUPPORTED_PULL,
	ERROR_VERSION_NOT_SUPPORTED_SCHEMA,

	/* At the start; never reaches a client. */
	ERROR_CONFIG, /* a setting is missing or wrong */

	ERROR_MAX
};

/* An error. A zeroed one is valid and says ERROR_NONE. */
struct error {
	enum error_code code;
	char sqlstate[ERROR_SQLSTATE_SIZE]; /* of Postgres, else "" */
	char message[ERROR_MESSAGE_MAX];
};

/*
 * Fills ERROR: CODE, no SQLSTATE, and the message, cut at the room there is.
 * The arguments must not point into ERROR.
 * Always returns -1, to be returned by the caller.
 */
int error_set(struct error *error, enum error_code code, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/*
 * Adds the SQLSTATE that Postgres gave to an ERROR set before. NULL and a
 * text that is not five characters long leave "". Always returns -1.
 */
int error_set_sqlstate(struct error *error, const char *sqlstate);

/* Back to ERROR_NONE. */
void error_reset(struct error *error);

/*
 * The word that stands for CODE in an answer's "error" and in the log, such as
 * `mutation_gap`; for the codes told by a 200 it is the word Replicache knows
 * (`ClientStateNotFound`, three times `VersionNotSupported`). Static, never
 * NULL; a number that is no code gives `internal`.
 */
const char *error_name(enum error_code code);

/*
 * The sentence for the answer's "message": fixed text that needs no escaping
 * in JSON and tells nothing of the database. Static, never NULL.
 */
const char *error_public_text(enum error_code code);

#endif
