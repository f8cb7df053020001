/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Settings: one table (settings.c) names each setting, its type, default,
 * bounds, environment variable and help text, and drives reading, --help and
 * --dump-config.
 *
 * Settings are read once, at the start, and are constant afterwards.
 */
#ifndef REPLICACHE_SETTINGS_H
#define REPLICACHE_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

struct error;

/* Who may use the endpoints. There is no default: it must be said. */
enum auth_kind {
	AUTH_UNSET,
	AUTH_NONE, /* anybody: every client is the same, unnamed user */
};

/* What /poke does with a request that has to wait for a change. */
enum poke_kind {
	POKE_AUTO,     /* POKE_ANSWER below mod_fcgid, else POKE_STREAM */
	POKE_STREAM,   /* event streams and long-polls are held */
	POKE_LONGPOLL, /* long-polls are held; a stream is told to poll */
	POKE_ANSWER,   /* nothing is held: it is answered at once */
};

/* What is written to the log; each level includes those before it. */
enum log_level {
	LOG_LEVEL_ERROR,   /* the operator must act */
	LOG_LEVEL_WARNING, /* something failed; the program goes on */
	LOG_LEVEL_INFO,    /* start, stop, connections */
	LOG_LEVEL_DEBUG,   /* a line a request */
};

struct settings {
	char *database;         /* libpq conninfo; "" leaves all to PG* */
	char *listen_database;  /* likewise, for LISTEN; "": as database */
	char *allowed_origins;  /* URL origins, spaces between; "*": any */
	int auth;               /* enum auth_kind */
	int log_level;          /* enum log_level */
	int poke;               /* enum poke_kind */
	int metrics;            /* bool: /metrics is there */
	int prepared;           /* bool: name and keep prepared statements */
	long workers;           /* threads */
	long pool;              /* connections */
	long max_body;          /* bytes */
	long max_tokens;        /* JSON values in a body */
	long batch_mutations;   /* mutations in one transaction */
	long batch_bytes;       /* bytes of args in one transaction */
	long batch_time;        /* ms a push may be worked on */
	long connect_timeout;   /* ms */
	long statement_timeout; /* ms */
	long lock_timeout;      /* ms */
	long pull_timeout;      /* ms */
	long header_timeout;    /* ms */
	long request_timeout;   /* ms */
	long write_timeout;     /* ms */
	long drain_timeout;     /* ms */
	long poke_streams;      /* streams and long-polls held at a time */
	long poke_user_streams; /* of these, of one user */
	long poke_wait;         /* ms a long-poll is held */
	long poke_heartbeat;    /* ms */
	long poke_age;          /* ms after which a stream is ended */
};

/*
 * Fills SETTINGS with the defaults, then with what the environment says.
 * Returns 0, or -1 with ERROR_CONFIG naming the setting and what is wrong.
 * The strings belong to SETTINGS until settings_fini(), which is legal after a
 * failure too.
 */
int settings_init(struct settings *settings, struct error *error);

void settings_fini(struct settings *settings);

/*
 * Prints every setting to OUT as `name = value  # help`, one a line, with
 * the values in SETTINGS. Passwords inside `database` are not printed.
 */
void settings_dump(const struct settings *settings, FILE *out);

/* Prints every setting's environment variable, default and help. */
void settings_help(FILE *out);

#endif
