/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The settings as text, for people: one table, four forms.
 */
#include "config.h"

#include "settings.h"

#include "conninfo.h"
#include "error.h"
#include "settings_table.h"

/* TEXT as a string of the file. */
static void
print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else if (c == '"' || c == '\\' || c == '$')
			fprintf(out, "\\%c", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static bool
is_secret(const struct setting *setting, const char *value)
{
	struct error error;
	bool password = false;

	if (setting->type == SETTING_SECRET)
		return value[0] != '\0';
	return setting->type == SETTING_CONNINFO &&
	       (conninfo_check(value, &password, &error) < 0 || password);
}

/* Prints `name = value` without the end of the line. */
static void
print_value(
    const struct settings *settings, const struct setting *setting, FILE *out)
{
	const void *field = (const char *)settings + setting->offset;

	if (setting->type == SETTING_NUMBER) {
		fprintf(out, "%s = %ld", setting->name,
		    *(const _Atomic long *)field);
	} else if (setting->type == SETTING_CHOICE) {
		fprintf(out, "%s = %s", setting->name,
		    setting->choices[*(const _Atomic int *)field]);
	} else if (is_secret(setting, *(char *const *)field)) {
		fprintf(out, "# %s is set, but not shown", setting->name);
	} else {
		fprintf(out, "%s = ", setting->name);
		print_quoted(*(char *const *)field, out);
	}
}

void
settings_dump(const struct settings *settings, FILE *out)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		long line = settings->lines[i];

		print_value(settings, &table[i], out);
		if (line == SETTINGS_DEFAULT)
			fputs("  # default\n", out);
		else if (line == SETTINGS_ENVIRONMENT)
			fprintf(out, "  # %s\n", table[i].environment);
		else
			fprintf(out, "  # %s:%ld\n", settings->file, line);
	}
}

void
settings_help(FILE *out)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct setting *s = &table[i];

		fprintf(out, "  %s, %s\n      %s", s->environment, s->name,
		    s->help);
		if (s->initial[0] != '\0')
			fprintf(out, " (%s)", s->initial);
		fputc('\n', out);
	}
}
