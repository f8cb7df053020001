/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Settings: one table (settings_table.c) names each setting, its type,
 * default, bounds, environment variable and help text, and drives all else.
 *
 * They are read at the start: the defaults, then a file, then the environment,
 * each winning over the one before. Those that may change while the program
 * serves are read again by settings_reload(). Their members are atomic, as any
 * thread may read them: a function that needs a value twice reads it once and
 * keeps it.
 */
#ifndef REPLICACHE_SETTINGS_H
#define REPLICACHE_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

struct error;

/* Who may use the endpoints. There is no default: it must be said. */
enum auth_kind {
	AUTH_UNSET,
	AUTH_NONE,        /* anybody: every client is the same, unnamed user */
	AUTH_REMOTE_USER, /* the web server has found out, and says it */
	AUTH_JWT,         /* whom a JSON Web Token names */
};

/* The longest name of a header or cookie that can be chosen. */
#define SETTINGS_HEADER_MAX 64

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

/* What a line of it looks like; see log.h. */
enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

struct settings {
	/* A string that is AT_HUP is char *_Atomic: see settings_reload(). */
	char *database;        /* libpq conninfo; "": all from PG* */
	char *listen_database; /* likewise, for LISTEN; "": as database */
	char *_Atomic
	    allowed_origins; /* URL origins, spaces between; "*": any */
	char *jwt_key_file;  /* path */
	char *jwt_audience;  /* of a token; "": none */
	char *jwt_issuer;    /* of a token; "": any */
	char *_Atomic
	    cookie_claims; /* claims that views ask for, spaces between */
	char *jwt_subject; /* the claim that names the user */
	char *jwt_header;  /* besides Authorization, or "" */
	char *jwt_cookie;  /* that may have the token, or "" */
	_Atomic int auth;  /* enum auth_kind */
	_Atomic int jwt_algorithm; /* enum token_algorithm */
	_Atomic long jwt_leeway;   /* s */
	_Atomic int log_level;     /* enum log_level */
	_Atomic int log_format;    /* enum log_format */
	_Atomic int poke;          /* enum poke_kind */
	_Atomic int metrics;       /* bool: /metrics is there */
	_Atomic int prepared;      /* bool: name and keep prepared statements */
	_Atomic long workers;      /* threads */
	_Atomic long pool;         /* connections */
	_Atomic long max_body;     /* bytes */
	_Atomic long max_tokens;   /* JSON values in a body */
	_Atomic long max_depth;    /* levels of JSON in a body */
	_Atomic long user_mutations;    /* a second, of each user; 0: any */
	_Atomic long batch_mutations;   /* mutations in one transaction */
	_Atomic long batch_bytes;       /* bytes of args in one transaction */
	_Atomic long batch_time;        /* ms a push may be worked on */
	_Atomic long connect_timeout;   /* ms */
	_Atomic long listen_timeout;    /* ms */
	_Atomic long statement_timeout; /* ms */
	_Atomic long lock_timeout;      /* ms */
	_Atomic long pull_timeout;      /* ms */
	_Atomic long header_timeout;    /* ms */
	_Atomic long request_timeout;   /* ms */
	_Atomic long write_timeout;     /* ms */
	_Atomic long drain_timeout;     /* ms */
	_Atomic long poke_streams; /* streams and long-polls held at a time */
	_Atomic long poke_user_streams; /* of these, of one user */
	_Atomic long poke_wait;         /* ms a long-poll is held */
	_Atomic long poke_heartbeat;    /* ms */
	_Atomic long poke_age;          /* ms after which a stream is ended */

	/* How they were read; for the functions below. */
	const char *named; /* the file, as --config named it, or NULL */
	bool optional;     /* see settings_read() */
	char *file;        /* that was read, or NULL */
	char **retired; /* strings that were in force; see settings_reload() */
	size_t retired_count;
	long *lines; /* of each row of the table, where it was set: */
};

/* In `lines`, what is no line of the file. */
enum {
	SETTINGS_DEFAULT = 0,
	SETTINGS_ENVIRONMENT = -1,
};

/*
 * Fills SETTINGS with the defaults, then with what the file says, then with
 * what the environment says.
 *
 * The file is FILE, else the one that REPLICACHE_CONFIG names; it must be
 * there. Without either it is replicache.conf in the folder of the program
 * itself, else the one in sysconfdir, if there is one.
 *
 * Returns 0, or -1 with ERROR_CONFIG and a message that begins with what the
 * user wrote: `FILE:LINE: ` or `REPLICACHE_NAME: `. FILE and the strings belong
 * to SETTINGS until settings_fini(), which is legal after a failure too.
 */
int settings_init(
    struct settings *settings, const char *file, struct error *error);

/*
 * The same for a program that serves nobody: `auth` need not be said. If
 * OPTIONAL, a file that nobody named, and that must not be read, is as one that
 * is not there.
 */
int settings_read(struct settings *settings, const char *file, bool optional,
    struct error *error);

void settings_fini(struct settings *settings);

/*
 * Reads all again, as settings_init() did, while other threads use SETTINGS,
 * and takes over what is AT_HUP in the table. What is AT_START and has changed
 * is named in the log. Strings that were in force live until settings_fini().
 * Returns -1, and nothing has changed, if anything is wrong with any setting.
 */
int settings_reload(struct settings *settings, struct error *error);

/* Logs a warning for each variable REPLICACHE_... that is no setting. */
void settings_warn_unknown(void);

/*
 * Prints every setting to OUT as a line of the file, with the value in force
 * and a comment that tells where it comes from. Secrets are not printed.
 */
void settings_dump(const struct settings *settings, FILE *out);

/* Prints every setting's environment variable, key, help and default. */
void settings_help(FILE *out);

/* Prints a file of all settings, each with its help and commented out. */
void settings_sample(FILE *out);

#endif
