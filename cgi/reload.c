/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What HUP does.
 */
#include "config.h"

#include "reload.h"

#include "app.h"
#include "auth.h"
#include "error.h"
#include "faults.h"
#include "log.h"
#include "settings.h"

static void
reload_settings(struct settings *settings)
{
	struct error error = {0};

	if (settings_reload(settings, &error) < 0) {
		log_error("%s; all settings stay as they were", error.message);
		return;
	}
	log_set_level((enum log_level)settings->log_level);
	log_set_format((enum log_format)settings->log_format);
	log_info("the settings were read again");
}

void
reload(struct app *app)
{
	struct error error = {0};

	reload_settings(app->reloaded);
	FAULT(RELOADING);
	if (auth_reload(app->auth, &error) < 0)
		log_error("%s; the keys stay as they were", error.message);
}
