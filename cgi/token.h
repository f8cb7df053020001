/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Token: a JSON Web Token (RFC 7519) signed by the app's own login (RFC 7515,
 * compact form). It tells who asks, and cannot be made up.
 *
 * Nothing of a token is read before its signature is found good with the key
 * and the algorithm of the settings. So of its header only `alg` and `crit` are
 * looked at, to refuse; where to find keys (`jwk`, `jku`, `x5u`, `kid`) is
 * never taken from a token.
 */
#ifndef REPLICACHE_TOKEN_H
#define REPLICACHE_TOKEN_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct identity;
struct token_key;

/* The longest token. Web servers let a header have 8 kB or less, and a token
 * is sent with each request. */
#define TOKEN_MAX 8192

/* Bytes of a user's name, as many as OpenID Connect lets a `sub` have. */
#define TOKEN_USER_MAX 255

/* What a token must say, and when. The strings may be "", but for `subject`. */
struct token_rules {
	const char *audience; /* one of `aud`; "": there must be no `aud` */
	const char *issuer;   /* `iss`; "": it may be any */
	const char *subject;  /* the claim that names the user */
	long leeway;          /* s that the signer's clock may be off ours */
	int64_t now;          /* s since 1970 */
};

/*
 * Reads TOKEN, which says who asks, into IDENTITY: its user and its claims as
 * they were signed, in memory from ARENA. Fails by ERROR_INVALID_TOKEN, with
 * the reason for the log, never the token, unless
 *
 * - it is three parts of base64url and has at most TOKEN_MAX bytes,
 * - KEY has signed it, and `alg` is KEY's algorithm; there is no `crit`,
 * - its claims are an object, each there once, that jsonb can hold,
 * - `exp` is a number that is not past, `nbf` none or not to come, give or
 *   take the leeway; `aud` and `iss` are what RULES want,
 * - the user is a string of 1 to TOKEN_USER_MAX bytes.
 */
int token_read(const char *token, struct token_key *key,
    const struct token_rules *rules, struct arena *arena,
    struct identity *identity, struct error *error);

#endif
