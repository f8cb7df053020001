/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: any bytes are a settings file, and variables of the environment.
 * What is taken is within its bounds, and printed by settings_dump() it is
 * taken again as the same. What is refused is refused with its place, and no
 * password is told.
 *
 * Input: a byte of how, the file, and variables NAME=VALUE, each part ended by
 * the byte 0xff.
 */
#include "config.h"

#include "fuzz.h"

#include <libpq-fe.h>
#include <stdio_ext.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conninfo.h"
#include "error.h"
#include "settings.h"
#include "settings_table.h"

const struct fuzz_target fuzz_target = FUZZ_TARGET(
    "fuzz/settings", "\n=\"'#\\${}+,()/ \t-0129apx_\x01\x7f\x80\xff");

#define STOP 0xff

/* Bits of the first byte. */
#define SHOWN 1u /* others can read the file */

/* A password as it may stand in the corpus. */
#define PASSWORD "hunter22"

/* A file of these bytes; its path is written to PATH. Returns a descriptor. */
static int
make_file(const void *bytes, size_t size, bool shown, char path[64])
{
	int fd = memfd_create("settings", MFD_CLOEXEC);

	fuzz_check(fd >= 0 && fchmod(fd, shown ? 0644 : 0600) == 0);
	fuzz_check(write(fd, bytes, size) == (ssize_t)size);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static bool
is_string(const struct setting *setting)
{
	return setting->type != SETTING_NUMBER &&
	       setting->type != SETTING_CHOICE;
}

/* What row SETTING says in SETTINGS: a text in static memory, or the string. */
static const char *
value_of(const struct settings *settings, const struct setting *setting)
{
	static char number[32];
	const void *field = (const char *)settings + setting->offset;

	if (is_string(setting))
		return *(char *const *)field;
	snprintf(number, sizeof(number), "%ld",
	    setting->type == SETTING_NUMBER ? *(const _Atomic long *)field
					    : *(const _Atomic int *)field);
	return number;
}

static void
check_bounds(const struct settings *settings)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	fuzz_check(settings->auth != AUTH_UNSET);
	for (size_t i = 0; i < count; i++) {
		const char *value = value_of(settings, &table[i]);
		long number = strtol(value, NULL, 10), choices = 0;

		fuzz_check(value != NULL);
		if (table[i].type == SETTING_NUMBER)
			fuzz_check(
			    number >= table[i].min && number <= table[i].max);
		if (table[i].type != SETTING_CHOICE)
			continue;
		while (table[i].choices[choices] != NULL)
			choices++;
		fuzz_check(number >= 0 && number < choices);
	}
}

/* No password was taken from a file that others can read. */
static void
check_hidden(const struct settings *settings)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		struct error error;
		bool password = false;

		if (table[i].type == SETTING_CONNINFO && settings->lines[i] > 0)
			fuzz_check(conninfo_check(value_of(settings, &table[i]),
				       &password, &error) == 0);
		fuzz_check(!password);
	}
}

static char *
dump(const struct settings *settings)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fuzz_check(out != NULL);
	settings_dump(settings, out);
	fclose(out);
	fuzz_check(strlen(text) == size);
	return text;
}

/* Does the dump TEXT keep to itself what SETTING is? */
static bool
is_kept(const char *text, const struct setting *setting)
{
	char line[128];

	snprintf(line, sizeof(line), "\n# %s is set", setting->name);
	return setting->type == SETTING_CONNINFO &&
	       (strncmp(text, line + 1, strlen(line + 1)) == 0 ||
		   strstr(text, line) != NULL);
}

/* Has SETTING a password in its VALUE, by libpq? */
static bool
is_secret(const struct setting *setting, const char *value)
{
	PQconninfoOption *options = NULL;
	bool found = false;

	if (setting->type == SETTING_CONNINFO)
		options = PQconninfoParse(value, NULL);
	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL;
	     o++)
		found = found || (strcmp(o->keyword, "password") == 0 &&
				     o->val != NULL && o->val[0] != '\0');
	PQconninfoFree(options);
	return found;
}

static void
check_dump(const struct settings *settings)
{
	bool shown = false;
	char *text = dump(settings), path[64];
	int fd = make_file(text, strlen(text), true, path);
	struct settings again;
	struct error error;
	size_t count;
	const struct setting *table = settings_table(&count);

	fuzz_check(settings_init(&again, path, &error) == 0);
	for (size_t i = 0; i < count; i++) {
		char *value = strdup(value_of(settings, &table[i]));

		fuzz_check(value != NULL);
		if (!is_kept(text, &table[i])) {
			fuzz_check(!is_secret(&table[i], value));
			fuzz_check(
			    strcmp(value, value_of(&again, &table[i])) == 0);
			shown = shown || strstr(value, PASSWORD) != NULL;
		}
		free(value);
	}
	/* It may stand where it is none, and only there. */
	fuzz_check(shown || strstr(text, PASSWORD) == NULL);
	settings_fini(&again);
	close(fd);
	free(text);
}

/* Does BYTES have the password, and only where it is one? */
static bool
has_password(const char *bytes, size_t size)
{
	static const char known[] = "password=" PASSWORD;
	size_t whole = 0, all = 0;

	for (size_t i = 0; i + strlen(PASSWORD) <= size; i++) {
		if (memcmp(bytes + i, PASSWORD, strlen(PASSWORD)) == 0)
			all++;
		if (i + strlen(known) <= size &&
		    memcmp(bytes + i, known, strlen(known)) == 0)
			whole++;
	}
	return all > 0 && all == whole;
}

static void
check_refusal(
    const struct error *error, const char *path, const struct fuzz_input *input)
{
	const char *message = error->message;
	const char *bytes = (const char *)input->at;
	size_t size = (size_t)(input->end - input->at);

	fuzz_check(error->code == ERROR_CONFIG);
	fuzz_check((strncmp(message, path, strlen(path)) == 0 &&
		       message[strlen(path)] == ':') ||
		   strncmp(message, "REPLICACHE_", 11) == 0);
	if (has_password(bytes, size))
		fuzz_check(strstr(message, PASSWORD) == NULL);
}

/* Sets the variables of the table that the input has; or takes all away. */
static void
set_environment(struct fuzz_input *input)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++)
		unsetenv(table[i].environment);
	while (input != NULL && input->at < input->end) {
		char *text = fuzz_text(input, STOP);
		size_t length = strcspn(text, "=");

		for (size_t i = 0; text[length] == '=' && i < count; i++)
			if (strlen(table[i].environment) == length &&
			    strncmp(table[i].environment, text, length) == 0)
				setenv(
				    table[i].environment, text + length + 1, 1);
		free(text);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size}, all;
	unsigned how = fuzz_byte(&input);
	const uint8_t *file = input.at;
	struct settings settings;
	struct error error;
	char path[64];
	int fd;

	fflush(stdout);
	all = input;
	while (input.at < input.end && *input.at != STOP)
		input.at++;
	fd = make_file(
	    file, (size_t)(input.at - file), (how & SHOWN) != 0, path);
	if (input.at < input.end)
		input.at++;
	set_environment(&input);
	if (settings_init(&settings, path, &error) == 0) {
		set_environment(NULL);
		check_bounds(&settings);
		if ((how & SHOWN) != 0)
			check_hidden(&settings);
		check_dump(&settings);
	} else {
		check_refusal(&error, path, &all);
	}
	/* A CGI program's standard output is its answer: libconfuse must leave
	 * it alone. */
	fuzz_check(__fpending(stdout) == 0);
	settings_fini(&settings);
	close(fd);
	return 0;
}
