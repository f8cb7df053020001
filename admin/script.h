/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The files of schema/ that the program runs, as the build put them into it: so
 * a program and its SQL are always of one version.
 */
#ifndef REPLICACHE_SCRIPT_H
#define REPLICACHE_SCRIPT_H

#include <stddef.h>

struct script {
	const char *name; /* of the file, as in "upgrade/002.sql" */
	const char *sql;
};

/* The file NAME, or NULL if there is none. */
const struct script *script_find(const char *name);

/* The upgrade that makes schema NUMBER of the one before, or NULL. */
const struct script *script_upgrade(int number);

#endif
