/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * status.
 */
#include "config.h"

#include <stdio.h>

#include "admin.h"
#include "check.h"
#include "db.h"
#include "error.h"
#include "schema.h"
#include "show.h"

static const struct {
	const char *name;
	enum admin_statement statement;
	bool one; /* row: facts; else a table */
} sections[] = {
    {"database", ADMIN_STATUS_DATABASE, true},
    {"clients", ADMIN_STATUS_CLIENTS, true},
    {"failed_mutations", ADMIN_STATUS_FAILED, true},
    {"tables", ADMIN_STATUS_TABLES, false},
    {"mutators", ADMIN_STATUS_MUTATORS, false},
    {"schema_versions", ADMIN_STATUS_SCHEMA_VERSIONS, false},
    {"sessions", ADMIN_STATUS_SESSIONS, false},
    {"standbys", ADMIN_STATUS_STANDBYS, false},
};

static int
show_section(
    struct admin *admin, struct show *show, size_t i, struct error *error)
{
	struct db_result *result = NULL;

	if (admin_run(admin, sections[i].statement, 0, NULL, &result, error) <
	    0)
		return -1;
	if (sections[i].one && db_rows(result) == 1)
		show_row(show, sections[i].name, result);
	else
		show_rows(show, sections[i].name, result);
	db_result_free(result);
	return 0;
}

/* All there is to say of a database whose tables are not known. */
static int
show_stranger(
    struct admin *admin, const struct admin_schema *schema, struct error *error)
{
	struct show show;

	show_begin(&show, admin->json);
	show_text(&show, "database_schema", schema->name);
	if (schema->installed)
		show_number(&show, "schema_number", schema->number);
	else
		show_text(&show, "schema_number", NULL);
	show_number(&show, "program_knows", SCHEMA_NUMBER);
	return show_end(&show, error) < 0 ? -1 : ADMIN_SCHEMA;
}

int
admin_status(struct admin *admin, struct error *error)
{
	struct admin_schema schema;
	struct show show;
	long long streams = 0;
	int rc = 0;

	if (admin_look(admin, &schema, error) < 0)
		return -1;
	if (!schema.installed || schema.number != SCHEMA_NUMBER)
		return show_stranger(admin, &schema, error);
	show_begin(&show, admin->json);
	for (size_t i = 0;
	     rc == 0 && i < sizeof(sections) / sizeof(sections[0]); i++)
		rc = show_section(admin, &show, i, error);
	if (rc == 0 && admin->url != NULL) {
		rc = check_streams(admin, &streams, error);
		show_number(&show, "streams", streams);
	}
	if (rc < 0) {
		buffer_fini(&show.out);
		return -1;
	}
	return show_end(&show, error);
}
