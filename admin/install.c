/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * install, upgrade, grant.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "db.h"
#include "error.h"
#include "progress.h"
#include "schema.h"
#include "script.h"
#include "show.h"

int
admin_look(
    struct admin *admin, struct admin_schema *schema, struct error *error)
{
	struct db_result *result = NULL;

	*schema = (struct admin_schema){.installed = false};
	if (admin_run(admin, ADMIN_INSTALLED, 0, NULL, &result, error) < 0)
		return -1;
	schema->installed = db_bool(result, 0, 0);
	snprintf(
	    schema->name, sizeof(schema->name), "%s", db_text(result, 0, 1));
	db_result_free(result);
	if (!schema->installed)
		return 0;
	if (admin_run(admin, ADMIN_NUMBER, 0, NULL, &result, error) < 0)
		return -1;
	schema->number = db_rows(result) == 1 ? (int)db_int64(result, 0, 0) : 0;
	db_result_free(result);
	return 0;
}

static int
say_done(
    const struct admin *admin, const char *name, int from, struct error *error)
{
	struct show show;

	show_begin(&show, admin->json);
	show_text(&show, "database_schema", name);
	if (from != SCHEMA_NUMBER)
		show_number(&show, "upgraded_from", from);
	show_number(&show, "schema_number", SCHEMA_NUMBER);
	return show_end(&show, error);
}

/* Why the schema can't be brought to this program's number; 0 if it can. */
static int
refuse(const struct admin_schema *schema, const char *verb)
{
	if (!schema->installed)
		fputs("replicache-admin: replicache is not installed here: "
		      "replicache-admin install\n",
		    stderr);
	else if (schema->number > SCHEMA_NUMBER)
		fprintf(stderr,
		    "replicache-admin: the database has schema %d, which is "
		    "newer than this program's %d; nothing was done\n",
		    schema->number, SCHEMA_NUMBER);
	else if (schema->number < SCHEMA_OLDEST)
		fprintf(stderr,
		    "replicache-admin: the database has schema %d, and this "
		    "program upgrades from %d on; nothing was done\n",
		    schema->number, SCHEMA_OLDEST);
	else if (verb != NULL && schema->number < SCHEMA_NUMBER)
		fprintf(stderr,
		    "replicache-admin: the database has schema %d, this "
		    "program knows %d: replicache-admin %s\n",
		    schema->number, SCHEMA_NUMBER, verb);
	else
		return ADMIN_DONE;
	return ADMIN_SCHEMA;
}

int
admin_install(struct admin *admin, struct error *error)
{
	const struct script *script = script_find("replicache.sql");
	struct admin_schema schema;
	int rc;

	if (admin_look(admin, &schema, error) < 0)
		return -1;
	if (schema.installed) {
		rc = refuse(&schema, "upgrade");
		if (rc != ADMIN_DONE)
			return rc;
	}
	if (db_script(admin->db, script->name, script->sql, error) < 0)
		return -1;
	return say_done(admin, schema.name, SCHEMA_NUMBER, error);
}

/*
 * Brings the schema from NUMBER - 1 to NUMBER, in one transaction. The last one
 * brings the functions along, so that no one ever sees tables of one number
 * with functions of another: replicache.sql begins and commits by itself, and
 * its BEGIN within a transaction does nothing.
 */
static int
upgrade_to(struct admin *admin, int number, struct error *error)
{
	const struct script *script = script_upgrade(number);
	const struct script *all = script_find("replicache.sql");
	struct db_result *row = NULL;
	char text[16];
	const char *params[] = {text};
	bool done;

	if (script == NULL)
		return error_set(error, ERROR_INTERNAL,
		    "the upgrade to schema %d is missing", number);
	snprintf(text, sizeof(text), "%d", number);
	if (db_script(admin->db, "", "begin", error) < 0 ||
	    admin_run(admin, ADMIN_UPGRADE_LOCK, 0, NULL, NULL, error) < 0 ||
	    admin_run(admin, ADMIN_UPGRADE_NUMBER, 1, params, &row, error) < 0)
		return -1;
	done = db_rows(row) == 0;
	db_result_free(row);
	if (done) /* by another one */
		return db_script(admin->db, "", "rollback", error);
	if (db_script(admin->db, script->name, script->sql, error) < 0)
		return -1;
	return number == SCHEMA_NUMBER
		   ? db_script(admin->db, all->name, all->sql, error)
		   : db_script(admin->db, "", "commit", error);
}

int
admin_upgrade(struct admin *admin, struct error *error)
{
	struct admin_schema schema;
	struct progress progress;
	int number, rc;

	if (admin_look(admin, &schema, error) < 0)
		return -1;
	rc = refuse(&schema, NULL);
	if (rc != ADMIN_DONE)
		return rc;
	progress_begin(
	    &progress, "upgrade", (size_t)(SCHEMA_NUMBER - schema.number));
	for (number = schema.number + 1; rc == 0 && number <= SCHEMA_NUMBER;
	     number++) {
		rc = upgrade_to(admin, number, error);
		progress_step(&progress, 1);
	}
	progress_end(&progress);
	if (rc < 0)
		return -1;
	return say_done(admin, schema.name, schema.number, error);
}

int
admin_grant(struct admin *admin, struct error *error)
{
	const char *params[] = {admin->arguments[0]};
	struct show show;

	if (admin_run(admin, ADMIN_GRANT, 1, params, NULL, error) < 0)
		return -1;
	show_begin(&show, admin->json);
	show_text(&show, "granted_to", admin->arguments[0]);
	return show_end(&show, error);
}
