/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Asking before something is destroyed.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"

int
admin_confirm(const struct admin *admin, const char *question)
{
	char answer[16] = "";

	if (admin->yes)
		return ADMIN_DONE;
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr, "replicache-admin: %s Not without --yes.\n",
		    question);
		return ADMIN_UNSURE;
	}
	fprintf(stderr, "%s Type yes: ", question);
	if (fgets(answer, sizeof(answer), stdin) != NULL &&
	    strcmp(answer, "yes\n") == 0)
		return ADMIN_DONE;
	fputs("Nothing was done.\n", stderr);
	return ADMIN_UNSURE;
}
