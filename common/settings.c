/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table of settings, and the little that reads it.
 */
#include "config.h"

#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

enum setting_type {
	SETTING_STRING,
	SETTING_NUMBER,
	SETTING_CHOICE,
};

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset;
	const char *initial;        /* the default */
	long min, max;              /* of a number */
	const char *const *choices; /* of a choice, NULL-terminated */
	const char *environment;
	const char *help;
};

static const char *const auth_choices[] = {
    [AUTH_UNSET] = "", [AUTH_NONE] = "none", NULL};
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
static const char *const bool_choices[] = {"off", "on", NULL};

#define AT(field) offsetof(struct settings, field)

/*
 * The reasons of the defaults and bounds:
 *
 * max_body      a client that was offline pushes all it did at once, and what
 *               is refused as too large can never be pushed again (protocol
 *               section 2.1): so far above any real queue, yet bounded.
 * max_tokens    bounds the work of a body, whatever its bytes.
 * batch_*       how long one transaction holds the version lock; a larger
 *               push is committed in prefixes.
 * *_timeout     no client waits for ever: the Replicache client itself has no
 *               timeout (protocol section 7.2). drain_timeout is below the
 *               3 s in which process managers send KILL after TERM.
 * poke_*        a stream is a descriptor and some 600 bytes here, but two
 *               connections in the web server. A browser needs one stream, and
 *               a user has few browsers. Heartbeats and the wait are below the
 *               30 s at which the most impatient proxies cut. An hour's age
 *               lets a balancer spread streams anew.
 */
static const struct setting table[] = {
    {"database", SETTING_STRING, AT(database), "", 0, 0, NULL,
	"REPLICACHE_DATABASE",
	"libpq connection string or URI of the database"},
    {"listen_database", SETTING_STRING, AT(listen_database), "", 0, 0, NULL,
	"REPLICACHE_LISTEN_DATABASE",
	"the same, straight to the primary, if database is a pooler or a "
	"standby, where LISTEN does not work"},
    {"auth", SETTING_CHOICE, AT(auth), "", 0, 0, auth_choices,
	"REPLICACHE_AUTH",
	"who may push and pull; must be said: none = anybody"},
    {"allowed_origins", SETTING_STRING, AT(allowed_origins), "", 0, 0, NULL,
	"REPLICACHE_ALLOWED_ORIGINS",
	"origins of pages on other hosts that may push and pull, spaces "
	"between, or *"},
    {"workers", SETTING_NUMBER, AT(workers), "8", 1, 256, NULL,
	"REPLICACHE_WORKERS", "threads that serve requests"},
    {"pool", SETTING_NUMBER, AT(pool), "8", 2, 256, NULL, "REPLICACHE_POOL",
	"most connections to the database, opened on demand"},
    {"prepared", SETTING_CHOICE, AT(prepared), "on", 0, 0, bool_choices,
	"REPLICACHE_PREPARED",
	"keep prepared statements; off behind a transaction-mode pooler"},
    {"max_body", SETTING_NUMBER, AT(max_body), "67108864", 1024, INT_MAX, NULL,
	"REPLICACHE_MAX_BODY", "largest request body, in bytes"},
    {"max_tokens", SETTING_NUMBER, AT(max_tokens), "1000000", 100, INT_MAX,
	NULL, "REPLICACHE_MAX_TOKENS", "most JSON values in a request body"},
    {"batch_mutations", SETTING_NUMBER, AT(batch_mutations), "1000", 1, 100000,
	NULL, "REPLICACHE_BATCH_MUTATIONS",
	"most mutations in one transaction"},
    {"batch_bytes", SETTING_NUMBER, AT(batch_bytes), "8388608", 1024, INT_MAX,
	NULL, "REPLICACHE_BATCH_BYTES",
	"most bytes of args in one transaction (one mutation always fits)"},
    {"batch_time", SETTING_NUMBER, AT(batch_time), "20000", 100, 3600000, NULL,
	"REPLICACHE_BATCH_TIME",
	"ms a push may take; its committed prefix stays, the rest is retried"},
    {"connect_timeout", SETTING_NUMBER, AT(connect_timeout), "900", 10, 60000,
	NULL, "REPLICACHE_CONNECT_TIMEOUT",
	"ms to wait for a connection to the database"},
    {"statement_timeout", SETTING_NUMBER, AT(statement_timeout), "5000", 1,
	3600000, NULL, "REPLICACHE_STATEMENT_TIMEOUT", "ms a mutator may run"},
    {"lock_timeout", SETTING_NUMBER, AT(lock_timeout), "2000", 1, 3600000, NULL,
	"REPLICACHE_LOCK_TIMEOUT",
	"ms to wait for a lock held by somebody else"},
    {"pull_timeout", SETTING_NUMBER, AT(pull_timeout), "120000", 1, 3600000,
	NULL, "REPLICACHE_PULL_TIMEOUT",
	"ms that reading one table for a pull may take, a slow reader's "
	"included"},
    {"header_timeout", SETTING_NUMBER, AT(header_timeout), "5000", 10, 3600000,
	NULL, "REPLICACHE_HEADER_TIMEOUT",
	"ms in which a connected web server must begin its request"},
    {"request_timeout", SETTING_NUMBER, AT(request_timeout), "15000", 10,
	3600000, NULL, "REPLICACHE_REQUEST_TIMEOUT",
	"ms in which a request must have arrived whole"},
    {"write_timeout", SETTING_NUMBER, AT(write_timeout), "30000", 10, 3600000,
	NULL, "REPLICACHE_WRITE_TIMEOUT",
	"ms without progress after which a slow reader is dropped"},
    {"drain_timeout", SETTING_NUMBER, AT(drain_timeout), "2500", 0, 60000, NULL,
	"REPLICACHE_DRAIN_TIMEOUT",
	"ms that requests under way may take after TERM"},
    {"poke", SETTING_CHOICE, AT(poke), "auto", 0, 0, poke_choices,
	"REPLICACHE_POKE",
	"what may wait for changes: stream = streams and long-polls, longpoll, "
	"answer = nothing; auto = stream, but answer below mod_fcgid"},
    {"poke_streams", SETTING_NUMBER, AT(poke_streams), "20000", 0, 1000000,
	NULL, "REPLICACHE_POKE_STREAMS",
	"most streams and long-polls that this process holds"},
    {"poke_user_streams", SETTING_NUMBER, AT(poke_user_streams), "20", 1,
	1000000, NULL, "REPLICACHE_POKE_USER_STREAMS",
	"most of them of one user, unless auth is none"},
    {"poke_wait", SETTING_NUMBER, AT(poke_wait), "25000", 10, 3600000, NULL,
	"REPLICACHE_POKE_WAIT", "ms a long-poll is held"},
    {"poke_heartbeat", SETTING_NUMBER, AT(poke_heartbeat), "15000", 10, 3600000,
	NULL, "REPLICACHE_POKE_HEARTBEAT",
	"ms of silence after which a stream gets a comment"},
    {"poke_age", SETTING_NUMBER, AT(poke_age), "3600000", 10, 86400000, NULL,
	"REPLICACHE_POKE_AGE",
	"ms after which a stream is ended, to be opened anew"},
    {"metrics", SETTING_CHOICE, AT(metrics), "off", 0, 0, bool_choices,
	"REPLICACHE_METRICS",
	"on: /metrics tells counters of this process, to anybody the web "
	"server lets through"},
    {"log_level", SETTING_CHOICE, AT(log_level), "info", 0, 0, level_choices,
	"REPLICACHE_LOG_LEVEL", "error, warning, info or debug"},
};

static const size_t table_size = sizeof(table) / sizeof(table[0]);

static int
set_number(const struct setting *setting, long *out, const char *value,
    struct error *error)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (value[0] == '\0' || *end != '\0' || errno != 0 ||
	    number < setting->min || number > setting->max)
		return error_set(error, ERROR_CONFIG,
		    "%s: a whole number from %ld to %ld is needed",
		    setting->name, setting->min, setting->max);
	*out = number;
	return 0;
}

static int
set_choice(const struct setting *setting, int *out, const char *value,
    struct error *error)
{
	for (int i = 0; setting->choices[i] != NULL; i++) {
		if (strcmp(setting->choices[i], value) == 0) {
			*out = i;
			return 0;
		}
	}
	return error_set(
	    error, ERROR_CONFIG, "%s: not one of its values", setting->name);
}

static int
set_value(struct settings *settings, const struct setting *setting,
    const char *value, struct error *error)
{
	void *field = (char *)settings + setting->offset;
	char *copy;

	switch (setting->type) {
	case SETTING_NUMBER:
		return set_number(setting, field, value, error);
	case SETTING_CHOICE:
		return set_choice(setting, field, value, error);
	case SETTING_STRING:
		break;
	}
	if ((copy = strdup(value)) == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	free(*(char **)field);
	*(char **)field = copy;
	return 0;
}

int
settings_init(struct settings *settings, struct error *error)
{
	memset(settings, 0, sizeof(*settings));
	for (size_t i = 0; i < table_size; i++) {
		const char *value = getenv(table[i].environment);

		if (value == NULL)
			value = table[i].initial;
		if (set_value(settings, &table[i], value, error) < 0)
			return -1;
	}
	if (settings->auth == AUTH_UNSET)
		return error_set(error, ERROR_CONFIG,
		    "auth: must be said; REPLICACHE_AUTH=none lets anybody "
		    "push and pull");
	return 0;
}

void
settings_fini(struct settings *settings)
{
	free(settings->database);
	free(settings->listen_database);
	free(settings->allowed_origins);
	settings->database = settings->listen_database = NULL;
	settings->allowed_origins = NULL;
}

/* A conninfo may hold a password: only whether there is one is shown. */
static const char *
printable(const struct setting *setting, const char *value)
{
	bool secret = setting->offset == AT(database) ||
		      setting->offset == AT(listen_database);

	return secret && value[0] != '\0' ? "(set)" : value;
}

void
settings_dump(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < table_size; i++) {
		const struct setting *s = &table[i];
		const void *field = (const char *)settings + s->offset;

		fprintf(out, "%s = ", s->name);
		switch (s->type) {
		case SETTING_STRING:
			fprintf(
			    out, "\"%s\"", printable(s, *(char *const *)field));
			break;
		case SETTING_NUMBER:
			fprintf(out, "%ld", *(const long *)field);
			break;
		case SETTING_CHOICE:
			fputs(s->choices[*(const int *)field], out);
			break;
		}
		fprintf(out, "  # %s\n", s->help);
	}
}

void
settings_help(FILE *out)
{
	for (size_t i = 0; i < table_size; i++) {
		const struct setting *s = &table[i];

		fprintf(out, "  %s\n      %s", s->environment, s->help);
		if (s->initial[0] != '\0')
			fprintf(out, " (%s)", s->initial);
		fputc('\n', out);
	}
}
