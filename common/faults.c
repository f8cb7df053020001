/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Ends or stops the program where a test wants it.
 */
#include "config.h"

#include "faults.h"

#ifdef FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAULTS_TEXT(name, text) text,
static const char *const names[] = {FAULTS_LIST(FAULTS_TEXT)};

/* What is armed; at no passing (0), nothing is. */
static enum faults_point armed;
static int deed = SIGKILL;
static atomic_long left;

void
faults_arm(void)
{
	const char *text = getenv("REPLICACHE_FAULT");
	size_t length;
	char *end = NULL;
	long at = 1;

	if (text == NULL)
		return;
	length = strcspn(text, ":");
	for (armed = 0; armed < FAULTS_MAX; armed++)
		if (strlen(names[armed]) == length &&
		    strncmp(names[armed], text, length) == 0)
			break;
	text += length;
	if (*text == ':') {
		at = strtol(text + 1, &end, 10);
		text = end;
	}
	if (strcmp(text, ":stop") == 0)
		deed = SIGSTOP;
	else if (*text != '\0')
		at = 0;
	if (armed == FAULTS_MAX || at <= 0) {
		fprintf(stderr, "REPLICACHE_FAULT=%s: no such point\n",
		    getenv("REPLICACHE_FAULT"));
		_exit(EXIT_FAILURE);
	}
	atomic_store(&left, at);
}

void
faults_pass(enum faults_point point)
{
	char line[64];
	int n;

	if (point != armed || atomic_load(&left) <= 0 ||
	    atomic_fetch_sub(&left, 1) != 1)
		return;
	n = snprintf(line, sizeof(line), "fault: %s\n", names[point]);
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(EXIT_FAILURE);
	/* To this thread, which goes no further; the others are ended or
	 * stopped with it. */
	raise(deed);
}

#endif
