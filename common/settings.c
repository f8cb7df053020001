/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading the settings, and reading them again.
 */
#include "config.h"

#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conninfo.h"
#include "error.h"
#include "log.h"
#include "settings_table.h"

#define FILE_NAME "replicache.conf"
#define FILE_VARIABLE "REPLICACHE_CONFIG"

extern char **environ;

static int
set_number(const struct setting *setting, _Atomic long *out, const char *value,
    struct error *error)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (value[0] == '\0' || isspace((unsigned char)value[0]) ||
	    *end != '\0' || errno != 0 || number < setting->min ||
	    number > setting->max)
		return error_set(error, ERROR_CONFIG,
		    "a whole number from %ld to %ld is needed", setting->min,
		    setting->max);
	*out = number;
	return 0;
}

static int
set_choice(const struct setting *setting, _Atomic int *out, const char *value,
    struct error *error)
{
	char known[128] = "";
	size_t n = 0;

	for (int i = 0; setting->choices[i] != NULL; i++) {
		const char *choice = setting->choices[i];

		if (strcmp(choice, value) == 0 && value[0] != '\0') {
			*out = i;
			return 0;
		}
		if (choice[0] != '\0' && n < sizeof(known))
			n += (size_t)snprintf(known + n, sizeof(known) - n,
			    "%s%s", n > 0 ? ", " : "", choice);
	}
	return error_set(
	    error, ERROR_CONFIG, "one of these is needed: %s", known);
}

/* gcc's analyzer does not follow a member that is found by its offset, and
 * takes what is stored there for lost. settings_fini() frees it. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
static int
set_string(char **out, const char *value, struct error *error)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	free(*out);
	*out = copy;
	return 0;
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

int
settings_set(struct settings *settings, const struct setting *setting,
    const char *value, bool *secret_out, struct error *error)
{
	void *field = (char *)settings + setting->offset;
	bool secret = false;

	if (setting->type == SETTING_CONNINFO &&
	    conninfo_check(value, &secret, error) < 0)
		return -1;
	if (setting->check != NULL && setting->check(value, error) < 0)
		return -1;
	if (secret_out != NULL)
		*secret_out = secret;
	if (setting->type == SETTING_NUMBER)
		return set_number(setting, field, value, error);
	if (setting->type == SETTING_CHOICE)
		return set_choice(setting, field, value, error);
	return set_string(field, value, error);
}

static int
set_defaults(struct settings *settings, const struct setting *table,
    size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		/* What must be said has none. */
		if (table[i].type == SETTING_CHOICE &&
		    table[i].initial[0] == '\0')
			continue;
		if (settings_set(
			settings, &table[i], table[i].initial, NULL, error) < 0)
			return -1;
	}
	return 0;
}

/* Gives the path of replicache.conf beside the program, or NULL where nobody
 * can tell. */
static int
beside_program(char **beside_out, struct error *error)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	const char *slash;

	*beside_out = NULL;
	if (n <= 0 || (size_t)n >= sizeof(path))
		return 0;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return 0;
	if (asprintf(beside_out, "%.*s/" FILE_NAME, (int)(slash - path), path) <
	    0) {
		*beside_out = NULL;
		return error_set(error, ERROR_CONFIG, "out of memory");
	}
	return 0;
}

static int
read_file(struct settings *settings, struct error *error)
{
	const char *named = settings->named;
	char *beside;
	bool found;
	int rc;

	if (named == NULL)
		named = getenv(FILE_VARIABLE);
	if (named != NULL && named[0] != '\0')
		return settings_read_file(
		    settings, named, false, &found, error);
	if (beside_program(&beside, error) < 0)
		return -1;
	rc = beside == NULL
		 ? 0
		 : settings_read_file(settings, beside, true, &found, error);
	if (rc == 0 && (beside == NULL || !found))
		rc = settings_read_file(
		    settings, SYSCONFDIR "/" FILE_NAME, true, &found, error);
	free(beside);
	return rc;
}

static int
read_environment(struct settings *settings, const struct setting *table,
    size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		const char *value = getenv(table[i].environment);
		struct error why;

		if (value == NULL)
			continue;
		if (settings_set(settings, &table[i], value, NULL, &why) < 0)
			return error_set(error, ERROR_CONFIG, "%s: %s",
			    table[i].environment, why.message);
		settings->lines[i] = SETTINGS_ENVIRONMENT;
	}
	return 0;
}

int
settings_read(struct settings *settings, const char *file, bool optional,
    struct error *error)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	memset(settings, 0, sizeof(*settings));
	settings->named = file;
	settings->optional = optional;
	settings->lines = calloc(count, sizeof(*settings->lines));
	if (settings->lines == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	if (set_defaults(settings, table, count, error) < 0 ||
	    read_file(settings, error) < 0)
		return -1;
	return read_environment(settings, table, count, error);
}

int
settings_init(struct settings *settings, const char *file, struct error *error)
{
	if (settings_read(settings, file, false, error) < 0)
		return -1;
	if (settings->auth == AUTH_UNSET)
		return error_set(error, ERROR_CONFIG,
		    "%s%sauth must be said: auth = jwt, remote_user or none in "
		    "a file, or REPLICACHE_AUTH; none lets anybody push and "
		    "pull",
		    settings->file == NULL ? "" : settings->file,
		    settings->file == NULL ? "" : ": ");
	return 0;
}

static bool
is_string(const struct setting *setting)
{
	return setting->type != SETTING_NUMBER &&
	       setting->type != SETTING_CHOICE;
}

void
settings_fini(struct settings *settings)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++)
		if (is_string(&table[i])) {
			char **field =
			    (void *)((char *)settings + table[i].offset);

			free(*field);
			*field = NULL;
		}
	for (size_t i = 0; i < settings->retired_count; i++)
		free(settings->retired[i]);
	free(settings->retired);
	free(settings->lines);
	free(settings->file);
	settings->retired = NULL;
	settings->retired_count = 0;
	settings->lines = NULL;
	settings->file = NULL;
}

void
settings_warn_unknown(void)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (char **entry = environ; *entry != NULL; entry++) {
		size_t length = strcspn(*entry, "="), i;

		if (strncmp(*entry, "REPLICACHE_", 11) != 0 ||
		    strncmp(*entry, FILE_VARIABLE "=", length + 1) == 0)
			continue;
		for (i = 0; i < count; i++)
			if (strlen(table[i].environment) == length &&
			    strncmp(table[i].environment, *entry, length) == 0)
				break;
		if (i == count)
			log_warning(
			    "%.*s: no such setting", (int)length, *entry);
	}
}
