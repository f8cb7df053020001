/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading the settings again, while other threads use them.
 */
#include "config.h"

#include "settings.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "log.h"
#include "settings_table.h"

static bool
is_same(const struct setting *setting, const struct settings *a,
    const struct settings *b)
{
	const void *in_a = (const char *)a + setting->offset;
	const void *in_b = (const char *)b + setting->offset;

	if (setting->type == SETTING_NUMBER)
		return *(const _Atomic long *)in_a ==
		       *(const _Atomic long *)in_b;
	if (setting->type == SETTING_CHOICE)
		return *(const _Atomic int *)in_a == *(const _Atomic int *)in_b;
	return strcmp(*(char *const *)in_a, *(char *const *)in_b) == 0;
}

/* The string that was in force lives on, as a thread may be reading it. They
 * are few: one for each time that somebody changed one. */
static int
take_over_string(struct settings *settings, char *_Atomic *field, char **fresh)
{
	char **retired = realloc(settings->retired,
	    (settings->retired_count + 1) * sizeof(*retired));

	if (retired == NULL)
		return -1;
	settings->retired = retired;
	retired[settings->retired_count++] = atomic_exchange(field, *fresh);
	*fresh = NULL;
	return 0;
}

static int
take_over(struct settings *settings, const struct setting *setting,
    struct settings *fresh)
{
	void *to = (char *)settings + setting->offset;
	void *from = (char *)fresh + setting->offset;

	if (setting->type == SETTING_NUMBER)
		*(_Atomic long *)to = *(_Atomic long *)from;
	else if (setting->type == SETTING_CHOICE)
		*(_Atomic int *)to = *(_Atomic int *)from;
	else
		return take_over_string(settings, to, from);
	return 0;
}

static void
take_over_all(struct settings *settings, struct settings *fresh)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct setting *setting = &table[i];

		if (is_same(setting, settings, fresh))
			continue;
		if (setting->when == AT_START)
			log_warning("%s has changed, but is only read at the "
				    "start",
			    setting->name);
		else if (take_over(settings, setting, fresh) < 0)
			log_error("%s has changed, but there is no memory",
			    setting->name);
		else
			log_info("%s has changed", setting->name);
	}
}

int
settings_reload(struct settings *settings, struct error *error)
{
	struct settings fresh;
	int rc = settings_init(&fresh, settings->named, error);

	if (rc == 0)
		take_over_all(settings, &fresh);
	settings_fini(&fresh);
	return rc;
}
