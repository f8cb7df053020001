/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The one table of settings: everything there is to say about each. Reading
 * (settings.c, settings_file.c), --help, --dump-config, the sample file and
 * replicache.conf(5) (settings_print.c) all come from it.
 *
 * To add a setting: a member in settings.h and a row here.
 */
#ifndef REPLICACHE_SETTINGS_TABLE_H
#define REPLICACHE_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct settings;

enum setting_type {
	SETTING_STRING,   /* char *, never NULL */
	SETTING_CONNINFO, /* the same; a secret if it has a password */
	SETTING_NUMBER,   /* _Atomic long, from min to max */
	SETTING_CHOICE,   /* _Atomic int, an index into choices */
};

/* When a change of the file is heard. */
enum setting_when {
	AT_START, /* threads, connections or checks are made by it */
	AT_HUP,   /* read anew each time it is needed, so any time will do */
};

struct setting {
	const char *name; /* its key in the file */
	enum setting_type type;
	enum setting_when when;
	size_t offset; /* in struct settings */
	const char *initial;
	long min, max;
	const char *const *choices; /* NULL-terminated */
	/* What a string must be besides, or NULL: gives -1 with ERROR_CONFIG.
	 */
	int (*check)(const char *value, struct error *error);
	const char *environment; /* the variable: REPLICACHE_ and its name */
	const char *help;        /* a phrase; the unit stands first */
	const char *reason; /* sentences: the reason of its default, and what
			     * to know to choose another; or NULL */
};

/* The rows, in the order in which they are printed. */
const struct setting *settings_table(size_t *count_out);

/*
 * Checks VALUE, as the user wrote it, and puts it into SETTINGS.
 * *SECRET_OUT, unless NULL, tells whether others must not see it. Returns -1
 * with ERROR_CONFIG and what is wrong with it; the caller says where it
 * stood.
 */
int settings_set(struct settings *settings, const struct setting *setting,
    const char *value, bool *secret_out, struct error *error);

/*
 * Reads the file PATH into SETTINGS. If MAY_LACK, one that does not exist is
 * an empty one, and *FOUND_OUT is false. Returns -1 with ERROR_CONFIG and a
 * message that begins with `PATH:LINE: `, or `PATH: ` if no line is to blame.
 */
int settings_read_file(struct settings *settings, const char *path,
    bool may_lack, bool *found_out, struct error *error);

#endif
