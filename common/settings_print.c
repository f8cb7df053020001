/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The settings as text, for people: one table, four forms.
 */
#include "config.h"

#include "settings.h"

#include <string.h>

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

/* Where text that is meant for people is broken. */
#define WIDTH 79

/* A paragraph under way: each of its lines begins with the prefix. */
struct paragraph {
	FILE *out;
	const char *prefix;
	size_t column; /* 0: no line is begun */
};

/* Adds words, with a space between them and those before. */
static void
add_text(struct paragraph *p, const char *text)
{
	while (*(text += strspn(text, " ")) != '\0') {
		size_t length = strcspn(text, " ");

		if (p->column > 0 && p->column + 1 + length > WIDTH) {
			fputc('\n', p->out);
			p->column = 0;
		}
		if (p->column == 0) {
			fputs(p->prefix, p->out);
			p->column = strlen(p->prefix);
		} else {
			fputc(' ', p->out);
			p->column++;
		}
		fprintf(p->out, "%.*s", (int)length, text);
		p->column += length;
		text += length;
	}
}

static void
end_paragraph(struct paragraph *p)
{
	fputc('\n', p->out);
	p->column = 0;
}

void
settings_help(FILE *out)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct setting *s = &table[i];
		struct paragraph p = {.out = out, .prefix = "      "};
		char initial[128];

		fprintf(out, "  %s, %s\n", s->environment, s->name);
		add_text(&p, s->help);
		if (s->initial[0] != '\0') {
			snprintf(initial, sizeof(initial), "(%s)", s->initial);
			add_text(&p, initial);
		}
		end_paragraph(&p);
	}
}

/* What may be given, as a sentence; "" for a string. */
static void
add_range(struct paragraph *p, const struct setting *setting)
{
	char range[128];

	if (setting->type == SETTING_NUMBER) {
		snprintf(range, sizeof(range), "From %ld to %ld.", setting->min,
		    setting->max);
		add_text(p, range);
	}
	if (setting->type != SETTING_CHOICE)
		return;
	add_text(p, "One of:");
	for (int i = 0; setting->choices[i] != NULL; i++) {
		if (setting->choices[i][0] == '\0')
			continue;
		snprintf(range, sizeof(range), "%s%s", setting->choices[i],
		    setting->choices[i + 1] != NULL ? "," : ".");
		add_text(p, range);
	}
}

/* The default; of what must be said, the first that can be. */
static const char *
example_of(const struct setting *setting)
{
	if (setting->type != SETTING_CHOICE || setting->initial[0] != '\0')
		return setting->initial;
	return setting->choices[0][0] != '\0' ? setting->choices[0]
					      : setting->choices[1];
}

void
settings_sample(FILE *out)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	fputs("# The settings of replicache.fcgi: replicache.conf(5) tells "
	      "more. What is\n"
	      "# commented out is the default; only auth must be said.\n",
	    out);
	for (size_t i = 0; i < count; i++) {
		const struct setting *s = &table[i];
		struct paragraph p = {.out = out, .prefix = "# "};
		bool quoted =
		    s->type != SETTING_NUMBER && s->type != SETTING_CHOICE;

		fputc('\n', out);
		add_text(&p, s->help);
		end_paragraph(&p);
		add_range(&p, s);
		if (s->reason != NULL)
			add_text(&p, s->reason);
		if (p.column > 0)
			end_paragraph(&p);
		fprintf(out, quoted ? "#%s = \"%s\"\n" : "#%s = %s\n", s->name,
		    example_of(s));
	}
}
