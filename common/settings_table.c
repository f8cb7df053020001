/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table of settings.
 */
#include "config.h"

#include "settings_table.h"

#include <limits.h>
#include <string.h>

#include "error.h"
#include "origin.h"
#include "scan.h"
#include "settings.h"

static const char *const auth_choices[] = {[AUTH_UNSET] = "",
    [AUTH_NONE] = "none",
    [AUTH_REMOTE_USER] = "remote_user",
    [AUTH_JWT] = "jwt",
    NULL};
/* In the order of enum token_algorithm. */
static const char *const algorithm_choices[] = {
    "unset", "HS256", "RS256", "ES256", NULL};
static const char *const level_choices[] = {[LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
    NULL};
static const char *const poke_choices[] = {[POKE_AUTO] = "auto",
    [POKE_STREAM] = "stream",
    [POKE_LONGPOLL] = "longpoll",
    [POKE_ANSWER] = "answer",
    NULL};
static const char *const format_choices[] = {
    [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};
static const char *const bool_choices[] = {"off", "on", NULL};

/* What a token or a header says can't be met by what has a space at an end or a
 * control character. */
static int
check_text(const char *value, struct error *error)
{
	size_t length = strlen(value);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return error_set(
			    error, ERROR_CONFIG, "it has a control character");
	if (length > 0 && (value[0] == ' ' || value[length - 1] == ' '))
		return error_set(
		    error, ERROR_CONFIG, "it begins or ends with a space");
	return 0;
}

/* The first members of a row. The name is that of the member of struct
 * settings. */
#define FIELD(field, type, when)                                               \
#field, type, when, offsetof(struct settings, field)
#define STRING(field, when, initial) CHECKED(field, when, initial, NULL)
#define CHECKED(field, when, initial, check)                                   \
	FIELD(field, SETTING_STRING, when), initial, 0, 0, NULL, check
#define CONNINFO(field, when)                                                  \
	FIELD(field, SETTING_CONNINFO, when), "", 0, 0, NULL, NULL
#define NUMBER(field, when, initial, min, max)                                 \
	FIELD(field, SETTING_NUMBER, when), initial, min, max, NULL, NULL
#define CHOICE(field, when, initial, choices)                                  \
	FIELD(field, SETTING_CHOICE, when), initial, 0, 0, choices, NULL

static const struct setting table[] = {
    {CONNINFO(database, AT_START), "REPLICACHE_DATABASE",
	"libpq connection string or URI of the database",
	"Empty, it leaves all to libpq's own PG* variables. A file with a "
	"password in it must not be readable by others."},
    {CONNINFO(listen_database, AT_START), "REPLICACHE_LISTEN_DATABASE",
	"the same, straight to the primary, if database is a pooler or a "
	"standby, where LISTEN does not work",
	NULL},
    {NUMBER(listen_timeout, AT_HUP, "15000", 100, 3600000),
	"REPLICACHE_LISTEN_TIMEOUT",
	"ms in which a connection for LISTEN that died silently is found",
	"Streams miss changes meanwhile, and are poked then. A check is one "
	"read of the version, in silence."},
    {CHOICE(auth, AT_START, "", auth_choices), "REPLICACHE_AUTH",
	"who may push and pull; must be said: jwt = whom a token names, "
	"remote_user = whom the web server names, none = anybody",
	"remote_user is for a web server that has verified REMOTE_USER. nginx "
	"with Debian's fastcgi_params hands on any name a client cares to "
	"send."},
    {CHOICE(jwt_algorithm, AT_START, "unset", algorithm_choices),
	"REPLICACHE_JWT_ALGORITHM",
	"what tokens are signed by: HS256, RS256 or ES256",
	"It is never taken from the token. With RS256 and ES256 this machine "
	"needs no secret."},
    {CHECKED(jwt_key_file, AT_START, "", check_text), "REPLICACHE_JWT_KEY_FILE",
	"file of the secret (HS256) or of public keys in PEM; read again on "
	"HUP",
	"A secret has 32 random bytes or more, and others must not be able to "
	"read it. Up to 8 public keys may stand below each other, so that the "
	"signer can change over."},
    {CHECKED(jwt_audience, AT_START, "", check_text), "REPLICACHE_JWT_AUDIENCE",
	"what a token's aud must be or have among others",
	"Without it a token that has an aud is refused: it was meant for "
	"somebody else."},
    {CHECKED(jwt_issuer, AT_START, "", check_text), "REPLICACHE_JWT_ISSUER",
	"what a token's iss must be, unless empty", NULL},
    {CHECKED(jwt_subject, AT_START, "sub", check_text),
	"REPLICACHE_JWT_SUBJECT", "the claim that names the user",
	"Client groups belong to its value, so it must never be given to "
	"somebody else."},
    {NUMBER(jwt_leeway, AT_HUP, "60", 0, 600), "REPLICACHE_JWT_LEEWAY",
	"s by which the signer's clock may be off", NULL},
    {STRING(jwt_header, AT_START, ""), "REPLICACHE_JWT_HEADER",
	"a header that may have the token, for web servers that keep "
	"Authorization to themselves",
	NULL},
    {STRING(jwt_cookie, AT_START, ""), "REPLICACHE_JWT_COOKIE",
	"a cookie that may have the token, as event streams can send no header",
	"It should be HttpOnly, Secure and SameSite; requests of other sites' "
	"pages that bring it are refused."},
    {CHECKED(allowed_origins, AT_HUP, "", origin_check),
	"REPLICACHE_ALLOWED_ORIGINS",
	"origins of pages on other hosts that may push and pull, spaces "
	"between, or *",
	"An origin is what a browser sends: scheme, host and, unless it is the "
	"scheme's own, port, as in https://app.example. Files and pages in a "
	"sandbox have the origin null, which * does not include; any page can "
	"make itself null, so it is as open as *. Pages that are let in by "
	"either bring their token in a header: cookies and the like are for "
	"origins that are named."},
    {STRING(cookie_claims, AT_HUP, ""), "REPLICACHE_COOKIE_CLAIMS",
	"the claims of a token that views ask for, spaces between; empty: all "
	"but those that are another in each token or session",
	"Whose user or claims have changed starts over: the cookie has a hash "
	"of them. A claim that views don't ask for, and that changes, makes "
	"clients start over for nothing; one that views ask for must be "
	"named. Left out by default are exp, iat, nbf, jti, auth_time, nonce, "
	"at_hash, c_hash, s_hash, sid, session_state, event_id, origin_jti, "
	"aio, rh and uti."},
    {NUMBER(workers, AT_START, "8", 1, 256), "REPLICACHE_WORKERS",
	"threads that serve requests",
	"A request that waits for the database holds none of them."},
    {NUMBER(pool, AT_START, "8", 2, 256), "REPLICACHE_POOL",
	"most connections to the database, opened on demand",
	"Postgres must allow as many for each process, and one more to "
	"listen."},
    {CHOICE(prepared, AT_START, "on", bool_choices), "REPLICACHE_PREPARED",
	"keep prepared statements; off behind a transaction-mode pooler", NULL},
    {NUMBER(max_body, AT_HUP, "67108864", 1024, INT_MAX), "REPLICACHE_MAX_BODY",
	"largest request body, in bytes",
	"A client that was offline pushes all it did at once, and what is "
	"refused as too large can never be pushed again: so far above any "
	"real queue. The web server's own limit must not be smaller."},
    {NUMBER(max_tokens, AT_HUP, "1000000", 100, INT_MAX),
	"REPLICACHE_MAX_TOKENS", "most JSON values in a request body",
	"It bounds the work of a body, whatever its bytes."},
    {NUMBER(max_depth, AT_HUP, "128", 8, SCAN_DEPTH_MAX),
	"REPLICACHE_MAX_DEPTH", "most levels of JSON in a request body",
	"Values of an app are some levels deep; deeper ones are a burden on "
	"whoever reads them, Postgres included. The push itself takes 3."},
    {NUMBER(user_mutations, AT_HUP, "0", 0, 1000000),
	"REPLICACHE_USER_MUTATIONS",
	"most mutations of a user in a second, unless auth is none; 0 = any "
	"number",
	"What is not used in 10 s can be used at once. Who has any left may "
	"push all that waits, and then owes time: no queue is too long to get "
	"through, and what is refused, by 429, is sent again. Each process "
	"counts for itself."},
    /* Not AT_HUP: a batch under way has room for as many as it began with. */
    {NUMBER(batch_mutations, AT_START, "1000", 1, 100000),
	"REPLICACHE_BATCH_MUTATIONS", "most mutations in one transaction",
	"It bounds how long one transaction holds the version lock; a larger "
	"push is committed in prefixes."},
    {NUMBER(batch_bytes, AT_HUP, "8388608", 1024, INT_MAX),
	"REPLICACHE_BATCH_BYTES",
	"most bytes of args in one transaction (one mutation always fits)",
	NULL},
    {NUMBER(batch_time, AT_HUP, "20000", 100, 3600000), "REPLICACHE_BATCH_TIME",
	"ms a push may take; its committed prefix stays, the rest is retried",
	"No client waits for ever: Replicache itself has no timeout."},
    {NUMBER(connect_timeout, AT_HUP, "900", 10, 60000),
	"REPLICACHE_CONNECT_TIMEOUT",
	"ms to wait for a connection to the database, to each host of it",
	NULL},
    {NUMBER(statement_timeout, AT_HUP, "5000", 1, 3600000),
	"REPLICACHE_STATEMENT_TIMEOUT", "ms a mutator may run", NULL},
    {NUMBER(lock_timeout, AT_HUP, "2000", 1, 3600000),
	"REPLICACHE_LOCK_TIMEOUT",
	"ms to wait for a lock held by somebody else", NULL},
    {NUMBER(pull_timeout, AT_HUP, "120000", 1, 3600000),
	"REPLICACHE_PULL_TIMEOUT",
	"ms that reading one table for a pull may take, a slow reader's "
	"included",
	NULL},
    {NUMBER(header_timeout, AT_HUP, "5000", 10, 3600000),
	"REPLICACHE_HEADER_TIMEOUT",
	"ms in which a connected web server must begin its request", NULL},
    {NUMBER(request_timeout, AT_HUP, "15000", 10, 3600000),
	"REPLICACHE_REQUEST_TIMEOUT",
	"ms in which a request must have arrived whole", NULL},
    {NUMBER(write_timeout, AT_HUP, "30000", 10, 3600000),
	"REPLICACHE_WRITE_TIMEOUT",
	"ms without progress after which a slow reader is dropped", NULL},
    {NUMBER(drain_timeout, AT_HUP, "2500", 0, 60000),
	"REPLICACHE_DRAIN_TIMEOUT",
	"ms that requests under way may take after TERM",
	"The default is below the 3 s in which process managers send KILL."},
    {CHOICE(poke, AT_START, "auto", poke_choices), "REPLICACHE_POKE",
	"what may wait for changes: stream = streams and long-polls, longpoll, "
	"answer = nothing; auto = stream, but answer below mod_fcgid",
	"Below mod_fcgid a request that waits holds a whole process, and a "
	"stream does not flow."},
    {NUMBER(poke_streams, AT_START, "20000", 0, 1000000),
	"REPLICACHE_POKE_STREAMS",
	"most streams and long-polls that this process holds",
	"A stream is a descriptor and some 200 bytes here, but two "
	"connections in the web server."},
    {NUMBER(poke_user_streams, AT_HUP, "20", 1, 1000000),
	"REPLICACHE_POKE_USER_STREAMS",
	"most of them of one user, unless auth is none",
	"A browser needs one stream, and a user has few browsers."},
    {NUMBER(poke_wait, AT_HUP, "25000", 10, 3600000), "REPLICACHE_POKE_WAIT",
	"ms a long-poll is held",
	"The default is below the 30 s at which the most impatient proxies "
	"cut."},
    {NUMBER(poke_heartbeat, AT_HUP, "15000", 10, 3600000),
	"REPLICACHE_POKE_HEARTBEAT",
	"ms of silence after which a stream gets a comment",
	"The default is below the 30 s at which the most impatient proxies "
	"cut."},
    {NUMBER(poke_age, AT_HUP, "3600000", 10, 86400000), "REPLICACHE_POKE_AGE",
	"ms after which a stream is ended, to be opened anew",
	"So a balancer can spread streams anew."},
    {CHOICE(metrics, AT_HUP, "off", bool_choices), "REPLICACHE_METRICS",
	"on: /metrics tells counters of this process, to anybody the web "
	"server lets through",
	NULL},
    {CHOICE(log_level, AT_HUP, "info", level_choices), "REPLICACHE_LOG_LEVEL",
	"error, warning, info or debug", NULL},
    {CHOICE(log_format, AT_HUP, "text", format_choices),
	"REPLICACHE_LOG_FORMAT",
	"text, or json = each line is an object, for programs that read it",
	NULL},
};

const struct setting *
settings_table(size_t *count_out)
{
	*count_out = sizeof(table) / sizeof(table[0]);
	return table;
}
