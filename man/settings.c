/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Prints the list of settings in replicache.conf(5), in mdoc(7), for the build.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "settings_table.h"

/* Where lines are broken, as lint asks for. */
#define WIDTH 78

static void
print_word(const char *word, size_t length, bool begins_line)
{
	/* No request. */
	if (begins_line && (word[0] == '.' || word[0] == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < length; i++)
		if (word[i] == '\\')
			fputs("\\e", stdout);
		else
			putchar(word[i]);
}

/* Prints TEXT and END as lines of mdoc: a sentence begins a line. */
static void
print_text(const char *text, const char *end)
{
	size_t column = 0;

	while (*(text += strspn(text, " ")) != '\0') {
		size_t length = strcspn(text, " ");

		if (column > 0 &&
		    (text[-2] == '.' || column + 1 + length > WIDTH)) {
			putchar('\n');
			column = 0;
		}
		if (column > 0) {
			putchar(' ');
			column++;
		}
		print_word(text, length, column == 0);
		column += length;
		text += length;
	}
	fputs(end, stdout);
}

static void
print_range(const struct setting *setting)
{
	if (setting->type == SETTING_NUMBER) {
		printf(
		    "A number from %ld to %ld.\n", setting->min, setting->max);
		return;
	}
	if (setting->type != SETTING_CHOICE)
		return;
	fputs("One of\n", stdout);
	for (int i = 0; setting->choices[i] != NULL; i++)
		if (setting->choices[i][0] != '\0')
			printf(".Cm %s%s\n", setting->choices[i],
			    setting->choices[i + 1] != NULL ? " ," : " .");
}

static void
print_setting(const struct setting *setting)
{
	printf(".It Ic %s", setting->name);
	if (setting->initial[0] != '\0')
		printf(" No = %s", setting->initial);
	fputs("\n", stdout);
	print_text(setting->help, ".\n");
	print_range(setting);
	if (setting->reason != NULL)
		print_text(setting->reason, "\n");
	if (setting->when == AT_START)
		fputs("Read at the start only.\n", stdout);
	printf(".Pq Ev %s\n", setting->environment);
}

int
main(void)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++)
		print_setting(&table[i]);
	return ferror(stdout) != 0;
}
