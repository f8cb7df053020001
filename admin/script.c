/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The files of schema/.
 */
#include "config.h"

#include "script.h"

#include <stdio.h>
#include <string.h>

/* A build for a test has others. */
#ifndef SCRIPTS
#define SCRIPTS "admin_scripts.inc"
#endif

static const struct script scripts[] = {
#define SCRIPT(name, sql) {name, sql},
#include SCRIPTS
#undef SCRIPT
};

const struct script *
script_find(const char *name)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		if (strcmp(scripts[i].name, name) == 0)
			return &scripts[i];
	return NULL;
}

const struct script *
script_upgrade(int number)
{
	char name[32];

	snprintf(name, sizeof(name), "upgrade/%03d.sql", number);
	return script_find(name);
}
